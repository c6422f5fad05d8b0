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

from .address import Address, parse_address
from .app import create_app
from .cors import parse_origins
from .engine_channel import check_engine_asks, engine_channel
from .exposure import ANONYMOUS, PLAINTEXT, check_exposure, reaches_others
from .serving import ListenError, serve_app
from .settings import RestSettings
from .stubs import from_channel
from .tls import TlsFiles, server_context

DEFAULT_ENGINE = "127.0.0.1:11435"


def variable(environ: Mapping[str, str], name: str) -> str:
    """`LLAMAWIRE_X`, else `OLLAMA_X`; without spaces and quotes around it."""
    value = environ.get(f"LLAMAWIRE_{name}") or environ.get(f"OLLAMA_{name}") or ""
    return value.strip().strip("\"'")


def parse_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llamawire rest", description=__doc__)
    parser.add_argument(
        "--engine",
        metavar="[https://]HOST:PORT",
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


async def run(
    engine: str,
    listen: Address,
    settings: RestSettings,
    environ: Mapping[str, str],
) -> None:
    """Serves until SIGTERM or SIGINT."""
    tls = TlsFiles.of(
        *(environ.get(f"LLAMAWIRE_TLS_{name}", "").strip() for name in ("CERT", "KEY", "CLIENT_CA"))
    )
    allowed = environ.get("LLAMAWIRE_INSECURE", "").replace(" ", "").split(",")
    check_exposure("REST", listen, () if tls else (PLAINTEXT,), allowed)
    async with engine_channel(engine, environ) as channel:
        asks_by_itself = tls is not None and tls.client_ca is not None
        if not asks_by_itself and ANONYMOUS not in allowed and reaches_others(listen.host):
            await check_engine_asks(channel, engine)
        app = create_app(from_channel(channel), settings)
        context = server_context(tls) if tls else None
        serving = await serve_app(app, listen.host, listen.port, context)
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
        listen = parse_address(arguments.listen)
        asyncio.run(run(arguments.engine, listen, settings, os.environ))
    except (ListenError, ValueError) as error:
        print(f"llamawire rest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
