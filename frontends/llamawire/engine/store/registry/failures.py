"""What goes wrong between two machines, as a RegistryError with words that people search for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp
from yarl import URL

from llamawire.engine.store.registry.errors import RegistryUnreachable

__all__ = ["failures", "shown"]

_EARLY_ENDS = (
    aiohttp.ClientPayloadError,
    aiohttp.ServerDisconnectedError,
    http.client.IncompleteRead,
    http.client.RemoteDisconnected,
    ssl.SSLEOFError,
)
_NO_WAYS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)


@contextlib.contextmanager
def failures(what: str, url: URL) -> Iterator[None]:
    """Makes every failure on the way to `url` a RegistryUnreachable that begins with `what`."""
    try:
        yield
    except (
        aiohttp.ClientError, http.client.HTTPException, asyncio.TimeoutError, OSError, ValueError
    ) as error:  # fmt: skip
        raise RegistryUnreachable(f"{what}: {_why(error, url)}") from error


def shown(url: URL) -> URL:
    """Without the query, which may be a signature."""
    return url.with_query(None).with_user(None)


def _why(error: Exception, url: URL) -> str:
    """In Go's words where it has some."""
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(error, _EARLY_ENDS):
        return "unexpected EOF"
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return f"dial tcp: lookup {url.host}: no such host"
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {cause}"
    if isinstance(cause, ssl.SSLError):
        if "WRONG_VERSION" in str(cause) or "RECORD_LAYER" in str(cause):
            return "http: server gave HTTP response to HTTPS client"
        return f"tls: {cause}"
    if cause.errno in _NO_WAYS:
        reason = os.strerror(cause.errno).lower()
        return f"dial tcp {url.host}:{url.port}: connect: {reason}"
    return str(error) or type(error).__name__


def _cause(error: Exception) -> OSError:
    """What the system has said, if the event loop's words are wrapped round it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        inner = error.os_error
    else:
        inner = error
    return inner if isinstance(inner, OSError) else OSError()
