"""Stubs that call the servicers of this process.

The adapter inside the daemon is given these instead of stubs over a channel: the same methods, the
same errors, no socket between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import grpc

from llamawire.engine.rpc.guard import Guard

__all__ = ["local_stub"]


Metadata = Sequence[tuple[str, str]]


def local_stub(servicer: Any, service: Any, guard: Guard | None = None) -> Any:
    """What looks like a generated async stub over `servicer`, with `guard` before it.

    `service` is the service's descriptor, which says which methods stream. Requests and replies are
    handed over as they are, so neither side may change one afterwards.
    """
    methods = {}
    for method in service.methods:
        handler = getattr(servicer, method.name)
        if guard is not None:
            path = f"/{service.full_name}/{method.name}"
            handler = guard.behind(path, handler, streams=method.server_streaming)
        methods[method.name] = caller(handler, method.server_streaming)
    return SimpleNamespace(**methods)


def caller(handler: Any, streams: bool) -> Any:
    if streams:
        return lambda request, metadata=(), **_: LocalStream(handler, request, metadata)

    async def unary(request: Any, metadata: Metadata = (), **_: Any) -> Any:
        if isinstance(request, AsyncIterable):
            request = aiter(request)
        with aborts_as_errors():
            return await handler(request, LocalContext(metadata))

    return unary


class LocalStream:
    """A server stream: an async iterator that can be cancelled."""

    def __init__(self, handler: Any, request: Any, metadata: Metadata) -> None:
        self._replies: AsyncIterator[Any] = handler(request, LocalContext(metadata))
        self._reading: asyncio.Task[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Any]:
        self._reading = asyncio.current_task()
        try:
            with aborts_as_errors():
                async for reply in self._replies:
                    yield reply
        finally:
            self._reading = None
            await self._replies.aclose()  # type: ignore[attr-defined]

    def cancel(self) -> bool:
        """Ends the call by cancelling the task that reads it; False if nobody does."""
        if self._reading is None or self._reading is asyncio.current_task():
            return False
        return self._reading.cancel()


class LocalContext:
    """The part of grpc.aio.ServicerContext that our servicers use."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        raise LocalAbort(code, details, ())

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        raise LocalAbort(status.code, status.details, status.trailing_metadata)

    def time_remaining(self) -> float | None:
        return None

    def invocation_metadata(self) -> Metadata:
        return self._metadata


class LocalAbort(grpc.aio.AbortError):
    """What `abort` raises, with what the caller is to see."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Any) -> None:
        super().__init__(details)
        self.status = grpc.aio.AioRpcError(
            code,
            initial_metadata=grpc.aio.Metadata(),
            trailing_metadata=grpc.aio.Metadata(*metadata),
            details=details,
            debug_error_string=details,
        )


@contextlib.contextmanager
def aborts_as_errors() -> Iterator[None]:
    try:
        yield
    except LocalAbort as abort:
        raise abort.status from None
