"""`python -m llamawire.worker --socket PATH`: a process that hosts one model, for the daemon."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from llamawire.worker import sandbox
from llamawire.worker.parent import end_with_parent

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="llamawire worker", description=__doc__)
    parser.add_argument("--socket", required=True, help="path of the Unix socket to answer on")
    parser.add_argument("--numa", action="store_true", help="spread over NUMA nodes")
    sandbox.add_arguments(parser)
    arguments = parser.parse_args()
    end_with_parent()
    sandbox.enter_as_told(arguments, sockets=Path(arguments.socket).parent)
    # Not above: these start threads, which have to be born in the sandbox.
    import uvloop

    from llamawire.worker.server import serve

    uvloop.run(serve(arguments.socket, arguments.numa))
    # Not sys.exit: the static destructors of GPU libraries may crash.
    os._exit(0)


if __name__ == "__main__":
    main()
