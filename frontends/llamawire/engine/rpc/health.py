"""The standard health service: the server as a whole (""), and each model by its name.

A model of the store is SERVING, in memory or not, since the first request loads it; it is
NOT_SERVING while its worker is replaced after a crash. (grpc_health's own async servicer forgets
all watchers of a service when one of them leaves.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

__all__ = ["HealthServicer"]

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN

Context = grpc.aio.ServicerContext[Any, Any]


class HealthServicer(pb_grpc.HealthServicer):  # type: ignore[misc]
    """`display_name` gives a name's shortest form, so that `tiny` finds `tiny:latest`."""

    def __init__(self, display_name: Callable[[str], str]) -> None:
        self._display_name = display_name
        self._models: dict[str, Any] = {}
        self._draining = False
        self._changed = asyncio.Condition()

    async def Check(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        status = self._status(request.service)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.service!r}")
        return pb.HealthCheckResponse(status=status)

    async def Watch(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        last = None
        while True:
            async with self._changed:
                while (status := self._status(request.service)) == last:
                    await self._changed.wait()
            yield pb.HealthCheckResponse(status=status)
            last = status

    async def drain(self) -> None:
        """Everything is NOT_SERVING from now on."""
        self._draining = True
        await self._notify()

    async def set_models(self, names: Iterable[str]) -> None:
        """The store holds these models now."""
        self._models = {name: self._models.get(name, SERVING) for name in names}
        await self._notify()

    async def set_serving(self, name: str, serving: bool) -> None:
        if name in self._models:
            self._models[name] = SERVING if serving else NOT_SERVING
            await self._notify()

    def _status(self, service: str) -> Any:
        if service == "":
            return NOT_SERVING if self._draining else SERVING
        status = self._models.get(self._display_name(service), SERVICE_UNKNOWN)
        return NOT_SERVING if self._draining and status == SERVING else status

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
