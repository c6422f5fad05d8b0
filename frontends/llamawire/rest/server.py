"""What the server says about itself."""

from __future__ import annotations

import grpc.aio
from aiohttp import web

from llamawire.v1 import server_service_pb2

from .errors import rest_error
from .ndjson import json_response
from .stubs import Stubs

__all__ = ["ServerHandlers"]


class ServerHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._server = stubs.server

    async def root(self, request: web.Request) -> web.StreamResponse:
        # Clients look for these very words to see whether a server is up.
        return web.Response(text="Ollama is running")

    async def version(self, request: web.Request) -> web.StreamResponse:
        try:
            got = await self._server.GetVersion(server_service_pb2.GetVersionRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "version", "") from error
        return json_response({"version": got.version})

    async def status(self, request: web.Request) -> web.StreamResponse:
        # There is no hosted service behind this server; clients know that as a cloud switched off.
        return json_response({"cloud": {"disabled": True, "source": "env"}})
