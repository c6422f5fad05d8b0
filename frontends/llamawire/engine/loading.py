"""One load of a model by a worker, watched: by its progress, by the worker's life.

What llama.cpp says no to is a LoadFailed. A worker that dies or stands still over the load is a
WorkerDied.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

import grpc

from llamawire.engine.errors import EngineError, LoadFailed
from llamawire.engine.heartbeat import Heartbeat
from llamawire.engine.worker_process import WorkerDied, WorkerProcess
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["load_model", "watched"]

END_TIMEOUT_S = 5.0
"""For a process to end whose connection has ended."""


@contextlib.asynccontextmanager
async def watched(worker: WorkerProcess, heartbeat: Heartbeat) -> AsyncIterator[None]:
    """Kills the worker if its heart stops within the block; whoever talks to it sees it end."""

    async def watch() -> None:
        await heartbeat.stopped()
        worker.kill("it stood still (LLAMAWIRE_HEARTBEAT_TIMEOUT)")

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def load_model(
    name: str,
    worker: WorkerProcess,
    request: pb.LoadRequest,
    *,
    load_timeout_s: float,
    heartbeat: Heartbeat,
) -> pb.LoadedModel:
    """Loads, and gives up when `load_timeout_s` passes without progress."""
    call = worker.stub.Load(request)
    timeout = None if math.isinf(load_timeout_s) else load_timeout_s
    try:
        async with watched(worker, heartbeat):
            return await read_replies(call, timeout, heartbeat)
    except asyncio.TimeoutError:
        raise LoadFailed(
            name, f"loading made no progress for {load_timeout_s:g} s", reason="LOAD_TIMEOUT"
        ) from None
    except StopAsyncIteration:
        raise LoadFailed(name, "the worker ended the load without a model") from None
    except grpc.aio.AioRpcError as error:
        raise await load_error(name, worker, error) from error
    finally:
        call.cancel()


async def read_replies(
    call: grpc.aio.UnaryStreamCall[pb.LoadRequest, pb.LoadResponse],
    timeout: float | None,
    heartbeat: Heartbeat,
) -> pb.LoadedModel:
    """Each reply says that the worker lives, those with a greater fraction that it gets on."""
    replies = aiter(call)
    progress = -1.0
    now = moved = asyncio.get_running_loop().time()
    beats = 0
    while True:
        reply = await asyncio.wait_for(anext(replies), timeout)
        if reply.HasField("loaded"):
            return reply.loaded
        beats += 1
        heartbeat.beat(beats)
        now = asyncio.get_running_loop().time()
        if reply.fraction > progress:
            progress, moved = reply.fraction, now
        elif timeout is not None and now - moved > timeout:
            raise asyncio.TimeoutError


async def load_error(
    name: str, worker: WorkerProcess, error: grpc.aio.AioRpcError
) -> EngineError | WorkerDied:
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return LoadFailed(
            name,
            error.details() or "out of memory",
            code="RESOURCE_EXHAUSTED",
            reason="OUT_OF_MEMORY",
        )
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(worker.process.wait(), END_TIMEOUT_S)
        return WorkerDied(await worker.epitaph())
    return LoadFailed(name, error.details() or "the model could not be loaded")
