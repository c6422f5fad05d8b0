"""The worker's service: loads one model, then carries jobs in and events out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb
from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc
from llamawire.worker.embedding import EmbedQueue, shortened
from llamawire.worker.heartbeat import HEARTBEAT_S, page_waits
from llamawire.worker.images import ImageReader
from llamawire.worker.inputs import FittedInput, InputReader, InputTooLong
from llamawire.worker.session import Session

__all__ = ["WorkerServicer"]

PROGRESS_S = 0.1
INLINE_BYTES_MAX = 4096
IMAGE_CHUNK_MAX = 1280
"""Embeddings that are computed at once at least, where they see each other; memory goes with it."""

Context = grpc.aio.ServicerContext[Any, Any]


class WorkerServicer(pb_grpc.WorkerServiceServicer):
    """One model, and one loop with one session at a time, or an embedder."""

    def __init__(self, *, numa: bool = False) -> None:
        self._model: native.Model | None = None
        self._loop: native.Loop | None = None
        self._embedder: native.Embedder | None = None
        self._embed_queue: EmbedQueue | None = None
        self._inputs: InputReader | None = None
        self._encoder: native.ImageEncoder | None = None
        self._images: ImageReader | None = None
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
            adapters=request.adapters,
            progress=progress,
        )
        if request.projector_path:
            self._encoder = image_encoder(model, request)
            self._images = ImageReader(self._encoder)
        if request.embeds:
            self._embedder = embedder(model, request)
            self._embed_queue = EmbedQueue(self._embedder)
            self._inputs = InputReader(model, self._embedder.info["input_tokens_max"])
        else:
            self._loop = decode_loop(model, request, self._encoder)
        self._model = model
        self._vram_bytes = max(0, free_before - free_vram_bytes())

    def _loaded(self) -> pb.LoadedModel:
        assert self._model is not None
        model = self._model.info
        loaded = pb.LoadedModel(
            num_ctx_train=model["num_ctx_train"],
            weights_bytes=model["size_bytes"],
            vram_bytes=self._vram_bytes,
            adds_bos=model["adds_bos"],
            bos_text=model["bos_text"],
            eos_text=model["eos_text"],
        )
        if self._loop is not None:
            loop = self._loop.info
            loaded.num_parallel = loop["num_parallel"]
            loaded.num_ctx = loop["num_ctx"]
            loaded.kv_bytes = loop["kv_bytes"]
            loaded.can_shift = loop["can_shift"]
            loaded.num_thread = loop["num_thread"]
            loaded.num_thread_prefill = loop["num_thread_prefill"]
        if self._encoder is not None:
            loaded.projector_bytes = self._encoder.info["size_bytes"]
        if self._embedder is not None:
            info = self._embedder.info
            loaded.num_parallel = 1
            loaded.num_ctx = info["input_tokens_max"]
            loaded.num_thread = info["num_thread"]
            loaded.input_tokens_max = info["input_tokens_max"]
            loaded.ranks = info["ranks"]
        return loaded

    async def Session(
        self, request_iterator: AsyncIterator[pb.SessionRequest], context: Context
    ) -> AsyncIterator[pb.SessionResponse]:
        if self._embed_queue is not None:
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                yield pb.SessionResponse(beats=self._embed_queue.beats + page_waits())
        model, loop = await self._ready(context)
        session = Session(model, loop, self._images)
        try:
            async for reply in session.replies(request_iterator):
                yield reply
        finally:
            session.close()

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        if self._embed_queue is None or self._inputs is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the model does not embed")
        assert self._embed_queue is not None
        assert self._inputs is not None
        try:
            inputs = await self._read_inputs(self._inputs, request)
            vectors = await self._embed_queue.embed([each.tokens for each in inputs])
        except InputTooLong as error:
            # The one failure with numbers in it; the daemon knows it by this code.
            context.set_trailing_metadata(tuple(error.metadata.items()))
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
        except native.NativeError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        vectors = shortened(vectors, request.dimensions)
        return pb.EmbedResponse(
            vectors=vectors.astype("<f4", copy=False).tobytes(),
            width=vectors.shape[1],
            received_counts=[each.received_count for each in inputs],
            kept_counts=[len(each.tokens) for each in inputs],
        )

    async def _read_inputs(
        self, reader: InputReader, request: pb.EmbedRequest
    ) -> list[FittedInput]:
        def read() -> list[FittedInput]:
            return reader.read(request.inputs, num_ctx=request.num_ctx, truncate=request.truncate)

        # A thread takes longer to wake than a short text to tokenise.
        if request.ByteSize() <= INLINE_BYTES_MAX:
            return read()
        return await asyncio.to_thread(read)

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        model = await self._ready_model(context)
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
        model = await self._ready_model(context)
        try:
            text = await asyncio.to_thread(model.detokenize, request.tokens.ids)
        except native.NativeError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        return pb.DetokenizeResponse(text=text)

    async def _ready(self, context: Context) -> tuple[native.Model, native.Loop]:
        model = await self._ready_model(context)
        if self._loop is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the model only embeds")
        assert self._loop is not None
        return model, self._loop

    async def _ready_model(self, context: Context) -> native.Model:
        if self._model is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no model is loaded")
        assert self._model is not None
        return self._model


def image_encoder(model: native.Model, request: pb.LoadRequest) -> native.ImageEncoder:
    return native.ImageEncoder(model, request.projector_path, cache_bytes=request.image_cache_bytes)


def decode_loop(
    model: native.Model, request: pb.LoadRequest, encoder: native.ImageEncoder | None
) -> native.Loop:
    is_whole = encoder is not None and not encoder.info["is_causal"]
    return native.Loop(
        model,
        num_parallel=request.num_parallel,
        num_ctx=request.num_ctx,
        num_batch=request.num_batch,
        num_thread=request.num_thread,
        queue_max=request.queue_max,
        flash_attention=flash_attention(request),
        kv_cache_type=request.kv_cache_type,
        prefill_budget_ms=request.prefill_budget_ms,
        image_chunk_max=max(request.num_batch, IMAGE_CHUNK_MAX) if is_whole else 0,
    )


def embedder(model: native.Model, request: pb.LoadRequest) -> native.Embedder:
    return native.Embedder(
        model,
        num_ctx=request.num_ctx,
        num_batch=request.num_batch,
        num_thread=request.num_thread,
        flash_attention=flash_attention(request),
    )


def flash_attention(request: pb.LoadRequest) -> bool | None:
    return request.flash_attention if request.HasField("flash_attention") else None


def free_vram_bytes() -> int:
    """On all GPUs; what a load takes is the difference, since llama.cpp does not tell."""
    return sum(device["memory_free"] for device in native.devices() if device["kind"] == "gpu")
