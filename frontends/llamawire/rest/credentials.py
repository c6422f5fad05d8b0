"""The key of a request, handed on to the engine, which alone judges it.

The HTTP header `Authorization`, or what Anthropic's clients send in its place, becomes the metadata
`authorization` of every call that is made on behalf of the request.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import grpc.aio
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from llamawire.v1 import server_service_pb2

from .dialect import MESSAGES_PATH
from .errors import rest_error
from .routing import Handler
from .stubs import Stubs

__all__ = ["ask_before_bodies", "carry_authorization", "with_authorization"]

AUTHORIZATION_LENGTH_MAX = 4096
"""A longer header is no key, and gRPC's metadata has limits of its own."""
BODY_UNASKED_BYTES_MAX = 256 << 10
"""A body is not read into memory beyond this before the engine has seen the key."""

_authorization: ContextVar[str] = ContextVar("authorization", default="")


@web.middleware
async def carry_authorization(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remembers the header for the calls below."""
    text = request.headers.get(hdrs.AUTHORIZATION, "")
    if not text and request.path == MESSAGES_PATH and (key := request.headers.get("x-api-key")):
        text = f"Bearer {key}"
    if len(text) > AUTHORIZATION_LENGTH_MAX or not (text.isascii() and text.isprintable()):
        text = ""
    # A connection's requests share one context.
    token = _authorization.set(text)
    try:
        return await handler(request)
    finally:
        _authorization.reset(token)


def ask_before_bodies(stubs: Stubs) -> Middleware:
    """Has the engine look at the key before a long body is read, or one of unknown length."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        length = request.content_length
        if length is None:
            length = BODY_UNASKED_BYTES_MAX + 1 if request.can_read_body else 0
        if length > BODY_UNASKED_BYTES_MAX:
            try:
                await stubs.server.GetVersion(server_service_pb2.GetVersionRequest())
            except grpc.aio.AioRpcError as error:
                if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                    raise rest_error(error, "", "") from error
                # Whatever else is wrong, the request itself will say so in its own words.
        return await handler(request)

    return middleware


def with_authorization(stubs: Stubs) -> Stubs:
    """Stubs whose calls carry the key of the request that they are made for."""
    generation: Any = _Carrying(stubs.generation)
    models: Any = _Carrying(stubs.models)
    server: Any = _Carrying(stubs.server)
    embedding: Any = _Carrying(stubs.embedding)
    # Health is asked by everybody.
    return Stubs(generation, models, server, embedding, stubs.health)


class _Carrying:
    """A stub over a stub."""

    def __init__(self, stub: object) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)

        def call(request: Any) -> Any:
            text = _authorization.get()
            return method(request, metadata=(("authorization", text),)) if text else method(request)

        return call
