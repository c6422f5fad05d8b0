"""Files on their way into the store: HEAD and POST /api/blobs/:digest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
from aiohttp import StreamReader, web

from llamawire.v1 import model_service_pb2

from .errors import rest_error
from .routing import path_parameter
from .stubs import Stubs

__all__ = ["BlobHandlers"]

# Bytes of one message of an upload.
CHUNK_BYTES = 1 << 20


class BlobHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._models = stubs.models

    async def head(self, request: web.Request) -> web.StreamResponse:
        exists = await self._exists(path_parameter(request))
        return web.Response(status=200 if exists else 404)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        digest = path_parameter(request)
        if await self._exists(digest):
            return web.Response()
        parts = _Parts(digest, request.content)
        try:
            stored = await self._models.PutBlob(parts.messages())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "blobs", "") from error
        finally:
            parts.close()
        return web.Response(status=200 if stored.existed else 201)

    async def _exists(self, digest: str) -> bool:
        try:
            found = await self._models.HasBlob(model_service_pb2.HasBlobRequest(digest=digest))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "blobs", "") from error
        return found.exists


class _Parts:
    """A body as messages. Whoever iterates may still wait for the client when the call has ended;
    `close` then ends the iteration, and the body is free for aiohttp to throw away.
    """

    def __init__(self, digest: str, content: StreamReader) -> None:
        self._digest = digest
        self._content = content
        self._reading: asyncio.Task[bytes] | None = None
        self._is_closed = False

    async def messages(self) -> AsyncIterator[model_service_pb2.PutBlobRequest]:
        digest = self._digest
        while not self._is_closed:
            self._reading = asyncio.create_task(self._read())
            await asyncio.wait({self._reading})
            if self._reading.cancelled():
                return
            data = self._reading.result()
            if data or digest:
                yield model_service_pb2.PutBlobRequest(digest=digest, data=data)
            if len(data) < CHUNK_BYTES:
                return
            digest = ""

    async def _read(self) -> bytes:
        try:
            return await self._content.readexactly(CHUNK_BYTES)
        except asyncio.IncompleteReadError as end:
            return end.partial

    def close(self) -> None:
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()
