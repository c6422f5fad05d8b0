"""Refuses requests that protobuf cannot read, with a status that says so.

grpc itself answers those with UNKNOWN and nothing else: its readers of requests have no way to end
a call. Here they hand on what went wrong, and the handler behind them ends the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.rpc.status import failures_as_status

__all__ = ["ReadableRequests"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class ReadableRequests(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """A request that cannot be read is INVALID_ARGUMENT with the reason INVALID_MESSAGE."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        given: Any = await continuation(handler_call_details)
        if given is None or (given.request_streaming and given.response_streaming):
            return given  # type: ignore[no-any-return]  # no method of ours: reflection's
        method = handler_call_details.method.rpartition("/")[2]
        codec = (reader(given.request_deserializer, f"{method}Request"), given.response_serializer)
        handler: Handler
        if given.request_streaming:
            handler = grpc.stream_unary_rpc_method_handler(
                checked_parts(given.stream_unary), *codec
            )
        elif given.response_streaming:
            handler = grpc.unary_stream_rpc_method_handler(
                checked_stream(given.unary_stream), *codec
            )
        else:
            handler = grpc.unary_unary_rpc_method_handler(checked_unary(given.unary_unary), *codec)
        return handler


class Unreadable:
    """Stands where the request would."""

    def __init__(self, name: str) -> None:
        self.error = InvalidArgument(
            f"a {name} cannot be read: it is damaged, has text that is not UTF-8, or is nested "
            "deeper than the 100 messages that protobuf reads",
            reason="INVALID_MESSAGE",
            request=name,
        )


def reader(read: Callable[[bytes], Any], name: str) -> Callable[[bytes], Any]:
    def read_or_tell(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return Unreadable(name)

    return read_or_tell


def check(request: Any) -> None:
    if isinstance(request, Unreadable):
        raise request.error


def checked_unary(answer: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Any]:
    async def checked(request: Any, context: Any) -> Any:
        async with failures_as_status(context):
            check(request)
        return await answer(request, context)

    return checked


def checked_stream(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    async def checked(request: Any, context: Any) -> AsyncIterator[Any]:
        async with failures_as_status(context):
            check(request)
        async with aclosing(answer(request, context)) as replies:
            async for reply in replies:
                yield reply

    return checked


def checked_parts(
    answer: Callable[[AsyncIterator[Any], Any], Awaitable[Any]],
) -> Callable[[Any, Any], Any]:
    async def each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            check(request)
            yield request

    async def checked(requests: AsyncIterator[Any], context: Any) -> Any:
        async with failures_as_status(context):
            return await answer(each(requests), context)

    return checked
