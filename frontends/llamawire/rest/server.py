"""What the server says about itself."""

from __future__ import annotations

import grpc.aio
from aiohttp import hdrs, web
from grpc_health.v1 import health_pb2

from llamawire.v1 import server_service_pb2

from .errors import rest_error
from .ndjson import json_response
from .stubs import Stubs

__all__ = ["ServerHandlers"]


class ServerHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._server = stubs.server
        self._health = stubs.health

    async def root(self, request: web.Request) -> web.StreamResponse:
        # Clients look for these very words to see whether a server is up.
        return web.Response(text="Ollama is running")

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        """This process is alive; asks nobody."""
        return web.Response(text="ok")

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """200 if the engine, or its `?model=`, takes requests: 503 while it drains, while the
        model's worker stands still or is replaced, and where no engine answers; 404 without such a
        model."""
        service = request.query.get("model", "")
        try:
            checked = await self._health.Check(health_pb2.HealthCheckRequest(service=service))
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return web.Response(status=404, text="no such model")
            return _not_ready()
        if checked.status != health_pb2.HealthCheckResponse.SERVING:
            return _not_ready()
        return web.Response(text="ready")

    async def version(self, request: web.Request) -> web.StreamResponse:
        try:
            got = await self._server.GetVersion(server_service_pb2.GetVersionRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "version", "") from error
        return json_response({"version": got.version})

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """For Prometheus."""
        try:
            got = await self._server.GetMetrics(server_service_pb2.GetMetricsRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "metrics", "") from error
        return web.Response(body=got.text, headers={hdrs.CONTENT_TYPE: got.content_type})

    async def status(self, request: web.Request) -> web.StreamResponse:
        # There is no hosted service behind this server; clients know that as a cloud switched off.
        return json_response({"cloud": {"disabled": True, "source": "env"}})


def _not_ready() -> web.Response:
    return web.Response(status=503, text="not ready", headers={hdrs.RETRY_AFTER: "1"})
