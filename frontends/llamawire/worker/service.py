"""The worker's service: loads one model, then carries jobs in and events out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb
from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc
from llamawire.worker.session import Session

__all__ = ["WorkerServicer"]

PROGRESS_S = 0.1

Context = grpc.aio.ServicerContext[Any, Any]


class WorkerServicer(pb_grpc.WorkerServiceServicer):
    """One model, one loop, one session at a time."""

    def __init__(self, *, numa: bool = False) -> None:
        self._model: native.Model | None = None
        self._loop: native.Loop | None = None
        self._vram_bytes = 0
        if numa:
            native.use_numa()

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    async def Load(
        self, request: pb.LoadRequest, context: Context
    ) -> AsyncIterator[pb.LoadResponse]:
        if request.build_id != native.build_id():
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"daemon {request.build_id} and worker {native.build_id()} are of different builds",
            )
        if self._model is not None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a model is loaded already")
        progress = native.LoadProgress()
        loading = asyncio.ensure_future(asyncio.to_thread(self._load, request, progress))
        try:
            while not loading.done():
                await asyncio.wait({loading}, timeout=PROGRESS_S)
                yield pb.LoadResponse(fraction=progress.fraction)
            loading.result()
        except native.NativeError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        finally:
            progress.cancel()
        yield pb.LoadResponse(fraction=1.0, loaded=self._loaded())

    def _load(self, request: pb.LoadRequest, progress: native.LoadProgress) -> None:
        free_before = free_vram_bytes()
        model = native.Model(
            request.path,
            num_gpu=request.num_gpu,
            main_gpu=request.main_gpu,
            use_mmap=request.use_mmap if request.HasField("use_mmap") else None,
            progress=progress,
        )
        flash = request.flash_attention if request.HasField("flash_attention") else None
        self._loop = native.Loop(
            model,
            num_parallel=request.num_parallel,
            num_ctx=request.num_ctx,
            num_batch=request.num_batch,
            num_thread=request.num_thread,
            queue_max=request.queue_max,
            flash_attention=flash,
            kv_cache_type=request.kv_cache_type,
            prefill_budget_ms=request.prefill_budget_ms,
        )
        self._model = model
        self._vram_bytes = max(0, free_before - free_vram_bytes())

    def _loaded(self) -> pb.LoadedModel:
        assert self._model is not None
        assert self._loop is not None
        model, loop = self._model.info, self._loop.info
        return pb.LoadedModel(
            num_parallel=loop["num_parallel"],
            num_ctx=loop["num_ctx"],
            num_ctx_train=model["num_ctx_train"],
            weights_bytes=model["size_bytes"],
            kv_bytes=loop["kv_bytes"],
            vram_bytes=self._vram_bytes,
            adds_bos=model["adds_bos"],
            bos_text=model["bos_text"],
            eos_text=model["eos_text"],
            can_shift=loop["can_shift"],
            num_thread=loop["num_thread"],
        )

    async def Session(
        self, request_iterator: AsyncIterator[pb.SessionRequest], context: Context
    ) -> AsyncIterator[pb.SessionResponse]:
        model, loop = await self._ready(context)
        session = Session(model, loop)
        try:
            async for reply in session.replies(request_iterator):
                yield reply
        finally:
            session.close()

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        model, _ = await self._ready(context)
        try:
            ids = await asyncio.to_thread(
                model.tokenize,
                request.text,
                add_special=request.add_special,
                parse_special=request.parse_special,
            )
        except native.NativeError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        return pb.TokenizeResponse(tokens=pb.Tokens(ids=ids))

    async def Detokenize(
        self, request: pb.DetokenizeRequest, context: Context
    ) -> pb.DetokenizeResponse:
        model, _ = await self._ready(context)
        try:
            text = await asyncio.to_thread(model.detokenize, request.tokens.ids)
        except native.NativeError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        return pb.DetokenizeResponse(text=text)

    async def Ping(self, request: pb.PingRequest, context: Context) -> pb.PingResponse:
        _, loop = await self._ready(context)
        stats = loop.stats
        return pb.PingResponse(
            age_ns=time.monotonic_ns() - stats["heartbeat_ns"],
            active=stats["active"],
            queued=stats["queued"],
        )

    async def _ready(self, context: Context) -> tuple[native.Model, native.Loop]:
        if self._model is None or self._loop is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no model is loaded")
        assert self._model is not None
        assert self._loop is not None
        return self._model, self._loop


def free_vram_bytes() -> int:
    """On all GPUs; what a load takes is the difference, since llama.cpp does not tell."""
    return sum(device["memory_free"] for device in native.devices() if device["kind"] == "gpu")
