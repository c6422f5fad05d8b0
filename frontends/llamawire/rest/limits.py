"""What one client, or all of them, may hold: requests under way, and bodies that do not come.

Headers that do not come are aiohttp's: a connection that is not at a request is closed after
`RestSettings.idle_timeout_s`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Middleware

from .errors import RestError
from .routing import Handler
from .settings import RestSettings

__all__ = ["PROBES", "limit_requests", "watch_bodies"]

PROBES = frozenset(("/healthz", "/readyz"))
"""Answered however busy the server is."""


def limit_requests(settings: RestSettings) -> Middleware:
    """Refuses a request beyond `requests_max` at once."""
    count = 0

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal count
        if request.path in PROBES:
            return await handler(request)
        if count >= settings.requests_max:
            text = f"the server is busy: {count} requests run already"
            raise RestError(503, text, retry_after_s=1)
        count += 1
        try:
            return await handler(request)
        finally:
            count -= 1

    return middleware


def watch_bodies(settings: RestSettings) -> Middleware:
    """Gives up a request whose body stands still for `body_stall_timeout_s`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.content.is_eof():
            return await handler(request)
        watching = asyncio.create_task(_watch(request, settings.body_stall_timeout_s))
        try:
            return await handler(request)
        finally:
            watching.cancel()

    return middleware


async def _watch(request: web.Request, timeout_s: float) -> None:
    body = request.content
    seen = -1
    while not body.is_eof() and body.total_bytes != seen:
        seen = body.total_bytes
        await asyncio.sleep(timeout_s)
    if not body.is_eof():
        body.set_exception(RestError(408, f"the body has stood still for {timeout_s:g} s"))
