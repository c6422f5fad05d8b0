"""Runs the application on a socket."""

from __future__ import annotations

import errno
import logging
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .address import Address
from .app import LISTENER, SETTINGS
from .host import is_loopback

__all__ = ["ListenError", "Serving", "serve_app"]


class ClientFaults(logging.Filter):
    """Keeps a client's broken HTTP out of the log: strangers do not fill it with tracebacks. The
    client is told in its answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


class ListenError(Exception):
    """The address cannot be listened on; the message is for the person who chose it."""


CLIENT_FAULTS = ClientFaults()


class Serving:
    """A running server."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        # The one chosen by the system, if 0 was asked for.
        self.port = port

    async def close(self) -> None:
        """Accepts nothing more, lets running requests finish within the settings' limit, then
        cancels them.
        """
        await self._runner.cleanup()


async def serve_app(
    app: web.Application, host: str, port: int, context: ssl.SSLContext | None = None
) -> Serving:
    """Listens on `host` (empty: every interface) and `port` (0: any), with TLS if there is a
    `context`. Raises ListenError."""
    settings = app[SETTINGS]
    runner = web.AppRunner(
        app,
        # A hang-up cancels the handler, and the handler its call.
        handler_cancellation=True,
        # The body is the client's business: upstream does not unpack it either.
        auto_decompress=False,
        max_line_size=settings.header_bytes_max,
        max_field_size=settings.header_bytes_max,
        shutdown_timeout=settings.shutdown_timeout_s,
        keepalive_timeout=settings.idle_timeout_s,
    )
    logging.getLogger("aiohttp.server").addFilter(CLIENT_FAULTS)
    await runner.setup()
    site = web.TCPSite(runner, host or None, port, backlog=settings.backlog, ssl_context=context)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ListenError(_sentence(Address(host, port), error)) from error
    app[LISTENER].is_loopback = all(is_loopback(str(bound[0])) for bound in runner.addresses)
    return Serving(runner, host, int(runner.addresses[0][1]))


def _sentence(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {address}: another process has this port. "
            "Stop it, or choose another address with OLLAMA_HOST."
        )
    return f"cannot listen on {address}: {error.strerror or error}"
