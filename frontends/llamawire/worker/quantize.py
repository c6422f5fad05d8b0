"""`python -m llamawire.worker.quantize INPUT OUTPUT TYPE`: one quantization in its own process.

llama.cpp cannot be asked to stop, so whoever wants it to ends this process, or closes its standard
input. Its log goes to standard error: a line a tensor, `[done/all] …`; the last line of one that
failed is the reason. OUTPUT has to exist: the process may write nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from llamawire.worker import sandbox
from llamawire.worker.parent import end_with_input, end_with_parent

__all__ = ["main"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="llamawire quantize", description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("type")
    sandbox.add_arguments(parser)
    arguments = parser.parse_args()
    end_with_parent()
    sandbox.enter_as_told(arguments, written=[Path(arguments.output)])
    # Not above: these start threads, which have to be born in the sandbox.
    end_with_input()
    os.environ["LLAMAWIRE_NATIVE_LOG"] = "info"
    from llamawire import native

    try:
        native.quantize(arguments.input, arguments.output, arguments.type)
    except native.NativeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
