"""`python -m llamawire.worker.bench loop|worker FILE`: a layer that `llamawire bench` measures."""

from __future__ import annotations

import argparse
import os
import sys

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="llamawire.worker.bench", description=__doc__)
    parser.add_argument("layer", choices=("loop", "worker"))
    parser.add_argument("file", help="a GGUF file")
    parser.add_argument("--streams", type=int, default=8, help="requests at a time (8)")
    parser.add_argument("--context", type=int, default=2048, help="tokens of each (2048)")
    parser.add_argument("--threads", type=int, default=0, help="of the loop (0: it finds out)")
    arguments = parser.parse_args()
    # Forks are always followed by exec, as in the daemon.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc
    import uvloop

    from llamawire import native
    from llamawire.worker.bench.loop import play_in_loop
    from llamawire.worker.bench.work import Places
    from llamawire.worker.bench.worker import play_in_worker
    from llamawire.worker.parent import end_with_parent

    end_with_parent()
    places = Places(arguments.streams, arguments.context, arguments.threads)
    try:
        if arguments.layer == "loop":
            play_in_loop(arguments.file, places)
        else:
            uvloop.run(play_in_worker(arguments.file, places))
    except native.NativeError as error:
        sys.exit(str(error))
    except grpc.aio.AioRpcError as error:
        sys.exit(error.details())
    sys.stdout.flush()
    os._exit(0)  # as a worker does: the static destructors of GPU libraries may crash


if __name__ == "__main__":
    main()
