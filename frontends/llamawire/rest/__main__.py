"""The adapter alone: `python -m llamawire.rest --engine HOST:PORT`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import grpc.aio

from .address import Address, parse_address
from .app import create_app
from .cors import parse_origins
from .serving import ListenError, serve_app
from .settings import RestSettings
from .stubs import from_channel

DEFAULT_ENGINE = "127.0.0.1:11435"
# Images travel in one message.
MESSAGE_BYTES_MAX = 64 << 20


def variable(environ: Mapping[str, str], name: str) -> str:
    """`LLAMAWIRE_X`, else `OLLAMA_X`; without spaces and quotes around it."""
    value = environ.get(f"LLAMAWIRE_{name}") or environ.get(f"OLLAMA_{name}") or ""
    return value.strip().strip("\"'")


def parse_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llamawire rest", description=__doc__)
    parser.add_argument(
        "--engine",
        metavar="HOST:PORT",
        default=environ.get("LLAMAWIRE_GRPC") or DEFAULT_ENGINE,
        help="where llamawire's gRPC API listens (LLAMAWIRE_GRPC, default %(default)s)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=variable(environ, "HOST"),
        help="where to listen (LLAMAWIRE_HOST or OLLAMA_HOST, default 127.0.0.1:11434)",
    )
    return parser.parse_args(argv)


async def run(engine: str, listen: Address, settings: RestSettings) -> None:
    """Serves until SIGTERM or SIGINT."""
    options = (
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.keepalive_time_ms", 60_000),
    )
    async with grpc.aio.insecure_channel(engine, options=options) as channel:
        app = create_app(from_channel(channel), settings)
        serving = await serve_app(app, listen.host, listen.port)
        print(f"llamawire rest listens on {Address(serving.host, serving.port)}", flush=True)
        try:
            await _stop_signal()
        finally:
            await serving.close()


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no handlers here; there Ctrl-C ends the loop.
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv, os.environ)
    logging.basicConfig(level=logging.WARNING)
    settings = RestSettings(origins=parse_origins(variable(os.environ, "ORIGINS")))
    try:
        asyncio.run(run(arguments.engine, parse_address(arguments.listen), settings))
    except (ListenError, ValueError) as error:
        print(f"llamawire rest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
