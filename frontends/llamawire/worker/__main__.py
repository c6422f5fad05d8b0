"""`python -m llamawire.worker --socket PATH`: a process that hosts one model, for the daemon only.

It answers on a Unix socket and ends when its standard input closes: the daemon holds the other end,
so no worker outlives it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import grpc
import uvloop

from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc
from llamawire.worker.parent import end_with_parent
from llamawire.worker.service import WorkerServicer

__all__ = ["main"]

MESSAGE_BYTES_MAX = 256 << 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="llamawire worker", description=__doc__)
    parser.add_argument("--socket", required=True, help="path of the Unix socket to answer on")
    parser.add_argument("--numa", action="store_true", help="spread over NUMA nodes")
    arguments = parser.parse_args()
    end_with_parent()
    uvloop.run(serve(arguments.socket, arguments.numa))
    # Not sys.exit: the static destructors of GPU libraries may crash.
    os._exit(0)


async def serve(socket: str, numa: bool) -> None:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ]
    )
    servicer = WorkerServicer(numa=numa)
    pb_grpc.add_WorkerServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await end_of_input()
    servicer.close()


async def end_of_input() -> None:
    """Returns when the daemon has closed its end of our standard input, or is gone."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def on_readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            closed.set()

    loop.add_reader(sys.stdin.fileno(), on_readable)
    await closed.wait()


if __name__ == "__main__":
    main()
