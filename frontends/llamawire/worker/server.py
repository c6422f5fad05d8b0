"""Answers on a Unix socket until the standard input closes: the daemon holds the other end, so no
worker outlives it."""

from __future__ import annotations

import asyncio
import os
import sys

import grpc

from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc
from llamawire.worker.service import WorkerServicer

__all__ = ["serve"]

MESSAGE_BYTES_MAX = 256 << 20


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
