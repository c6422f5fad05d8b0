"""A limit to the calls over gRPC whose refusal can be understood.

gRPC's own limit refuses without details, so it stands behind this one, for floods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from llamawire.engine.errors import QueueFull
from llamawire.engine.rpc.refusal import Handler, refusing

__all__ = ["CallLimit"]

HEALTH = "/grpc.health.v1.Health/"


class CallLimit(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """At most `calls_max` calls at a time; health checks are answered always."""

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH):
            return handler
        if self._calls >= self._calls_max:
            return refusing(QueueFull(self._calls_max, "LLAMAWIRE_GRPC_STREAMS"))
        # A call is one task, this one.
        task = asyncio.current_task()
        assert task is not None
        self._calls += 1
        task.add_done_callback(self._leave)
        return handler

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._calls -= 1
