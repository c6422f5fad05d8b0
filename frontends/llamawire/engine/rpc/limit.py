"""A limit to the calls over gRPC whose refusal can be understood.

gRPC's own limit refuses without details, so it stands behind this one, for floods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from grpc_status import rpc_status

from llamawire.engine.errors import QueueFull
from llamawire.engine.rpc.status import rich_status

__all__ = ["CallLimit"]

HEALTH = "/grpc.health.v1.Health/"

MAKERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


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
            return self._refusing(handler)
        # A call is one task, this one.
        task = asyncio.current_task()
        assert task is not None
        self._calls += 1
        task.add_done_callback(self._leave)
        return handler

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._calls -= 1

    def _refusing(self, handler: Any) -> Handler:
        """A handler of the same kind that says no."""
        status = rpc_status.to_status(
            rich_status(QueueFull(self._calls_max, "LLAMAWIRE_GRPC_STREAMS"))
        )

        async def refuse(request: Any, context: Any) -> None:
            await context.abort_with_status(status)

        make = MAKERS[handler.request_streaming, handler.response_streaming]
        refusing: Handler = make(refuse, handler.request_deserializer, handler.response_serializer)
        return refusing
