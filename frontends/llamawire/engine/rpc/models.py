"""ModelService: the store and the models in memory; parse, call, reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import grpc

from llamawire.engine.catalog import Catalog
from llamawire.engine.completion import Completions
from llamawire.engine.errors import InvalidArgument
from llamawire.engine.rpc.convert import (
    given_options,
    keep_alive_s,
    loaded_message,
    model_message,
    show_message,
)
from llamawire.engine.rpc.convert_chat import check_count
from llamawire.engine.rpc.converted import converted
from llamawire.engine.rpc.status import failures_as_status
from llamawire.engine.rpc.structs import struct_values
from llamawire.engine.scheduler import Scheduler
from llamawire.engine.store import (
    CreateRequest,
    Library,
    Message,
    ModelName,
    Progress,
    Quantize,
    create,
)
from llamawire.engine.store.registry import Credentials, Registry
from llamawire.engine.templates import check_template, detect_template
from llamawire.v1 import model_service_pb2 as pb
from llamawire.v1 import model_service_pb2_grpc as pb_grpc

__all__ = ["ModelServicer"]

LICENSES_MAX = 64
"""Of one model; each is a file."""
MESSAGES_MAX = 4_096
"""Of one model's MESSAGEs."""

Context = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Answers for the library and the scheduler. `on_change` is awaited when the list of models
    has changed."""

    def __init__(
        self,
        library: Library,
        registry: Registry,
        catalog: Catalog,
        scheduler: Scheduler,
        completions: Completions,
        on_change: Callable[[], Awaitable[None]],
        quantize: Quantize,
    ) -> None:
        self._library = library
        self._registry = registry
        self._catalog = catalog
        self._scheduler = scheduler
        self._completions = completions
        self._on_change = on_change
        self._quantize = quantize

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        async with failures_as_status(context):
            models = await asyncio.to_thread(self._library.list)
            return pb.ListModelsResponse(models=[model_message(model) for model in models])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        async with failures_as_status(context):
            model = await asyncio.to_thread(self._catalog.describe, request.model)
            return pb.GetModelResponse(model=model_message(model))

    async def CreateModel(
        self, request: pb.CreateModelRequest, context: Context
    ) -> AsyncIterator[pb.CreateModelResponse]:
        async with failures_as_status(context):
            wanted = await converted(create_request, request)
            if wanted.base:
                async with aclosing(self._registry.pull_base(wanted)) as pulling:
                    async for progress in pulling:
                        yield pb.CreateModelResponse(**progress_fields(progress))
            steps = create(self._library, wanted, check_template, detect_template, self._quantize)
            async for progress in in_thread(steps):
                yield pb.CreateModelResponse(**progress_fields(progress))
            await self._on_change()

    async def PullModel(
        self, request: pb.PullModelRequest, context: Context
    ) -> AsyncIterator[pb.PullModelResponse]:
        async with failures_as_status(context):
            pulling = self._registry.pull(
                request.model, insecure=request.insecure, credentials=credentials(request)
            )
            async with aclosing(pulling):
                async for progress in pulling:
                    yield pb.PullModelResponse(**progress_fields(progress))
            await self._on_change()

    async def PushModel(
        self, request: pb.PushModelRequest, context: Context
    ) -> AsyncIterator[pb.PushModelResponse]:
        async with failures_as_status(context):
            pushing = self._registry.push(
                request.model, insecure=request.insecure, credentials=credentials(request)
            )
            async with aclosing(pushing):
                async for progress in pushing:
                    yield pb.PushModelResponse(**progress_fields(progress))

    async def CopyModel(
        self, request: pb.CopyModelRequest, context: Context
    ) -> pb.CopyModelResponse:
        async with failures_as_status(context):
            source = ModelName.parse(request.source)
            destination = ModelName.parse(request.destination)
            await asyncio.to_thread(self._library.copy, source, destination)
            await self._on_change()
            return pb.CopyModelResponse()

    async def DeleteModel(
        self, request: pb.DeleteModelRequest, context: Context
    ) -> pb.DeleteModelResponse:
        async with failures_as_status(context):
            if not request.model:
                raise InvalidArgument("model is required", reason="MODEL_REQUIRED")
            name = ModelName.parse(request.model)
            await asyncio.to_thread(self._library.delete, name)
            await self._on_change()
            return pb.DeleteModelResponse()

    async def PutBlob(
        self, request_iterator: AsyncIterator[pb.PutBlobRequest], context: Context
    ) -> pb.PutBlobResponse:
        async with failures_as_status(context):
            first = await anext(request_iterator, pb.PutBlobRequest())
            blobs = self._library.blobs
            if await asyncio.to_thread(blobs.exists, first.digest):
                return pb.PutBlobResponse(existed=True)
            with blobs.writer() as writer:
                await asyncio.to_thread(writer.write, first.data)
                async for part in request_iterator:
                    await asyncio.to_thread(writer.write, part.data)
                await asyncio.to_thread(writer.commit, first.digest)
            return pb.PutBlobResponse(existed=False)

    async def HasBlob(self, request: pb.HasBlobRequest, context: Context) -> pb.HasBlobResponse:
        async with failures_as_status(context):
            exists = await asyncio.to_thread(self._library.blobs.exists, request.digest)
            return pb.HasBlobResponse(exists=exists)

    async def ShowModel(
        self, request: pb.ShowModelRequest, context: Context
    ) -> pb.ShowModelResponse:
        async with failures_as_status(context):
            return await asyncio.to_thread(self._shown, request)

    def _shown(self, request: pb.ShowModelRequest) -> pb.ShowModelResponse:
        """Blocks, and with the lists of a large vocabulary for seconds."""
        options = struct_values(request.options, "options")
        shown = self._catalog.show(
            request.model, verbose=request.verbose, system=request.system, options=options
        )
        return show_message(shown)

    async def ListLoaded(
        self, request: pb.ListLoadedRequest, context: Context
    ) -> pb.ListLoadedResponse:
        async with failures_as_status(context):
            models = [loaded_message(loaded) for loaded in self._scheduler.loaded()]
            return pb.ListLoadedResponse(models=models)

    async def Load(self, request: pb.LoadRequest, context: Context) -> pb.LoadResponse:
        async with failures_as_status(context):
            given = given_options(request.options)
            seconds = keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None
            loaded = await self._completions.load(request.model, given, seconds)
            return pb.LoadResponse(model=loaded_message(loaded))

    async def Unload(self, request: pb.UnloadRequest, context: Context) -> pb.UnloadResponse:
        async with failures_as_status(context):
            was_loaded = await self._completions.unload(request.model)
            return pb.UnloadResponse(was_loaded=was_loaded)


def create_request(request: pb.CreateModelRequest) -> CreateRequest:
    check_count("licenses", len(request.licenses), LICENSES_MAX)
    check_count("messages", len(request.messages), MESSAGES_MAX)
    return CreateRequest(
        model=request.model,
        base=getattr(request, "from"),
        files=dict(request.files) or None,
        adapters=dict(request.adapters),
        template=request.template,
        system=request.system,
        licenses=tuple(request.licenses),
        parameters=struct_values(request.parameters, "parameters"),
        messages=tuple(Message(m.role, m.content) for m in request.messages),
        quantize=request.quantize,
        renderer=request.renderer,
        parser=request.parser,
        requires=request.requires,
        info=struct_values(request.info, "info"),
    )


def credentials(request: pb.PullModelRequest | pb.PushModelRequest) -> Credentials | None:
    if not request.HasField("credentials"):
        return None
    return Credentials(request.credentials.username, request.credentials.password)


def progress_fields(progress: Progress) -> dict[str, Any]:
    """The fields that all messages of progress have."""
    return {
        "status": progress.status,
        "digest": progress.digest,
        "total_bytes": progress.total,
        "completed_bytes": progress.completed,
    }


async def in_thread(steps: Iterator[Progress]) -> AsyncIterator[Progress]:
    """A blocking iterator's items, made one by one in a thread."""
    while (step := await asyncio.to_thread(next, steps, None)) is not None:
        yield step
