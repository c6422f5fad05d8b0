"""What the adapter needs of the gRPC API.

Two things fit: the stubs of a real channel (`from_channel`), and objects that call the servicers in
the same process. Both raise `grpc.aio.AioRpcError`, and both end the work when the awaiting task
is cancelled or `cancel` is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from llamawire.v1 import (
    chat_pb2,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    generation_pb2,
    generation_service_pb2,
    generation_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

__all__ = [
    "EmbeddingStub",
    "GenerationStub",
    "HealthStub",
    "MessageStream",
    "ModelStub",
    "ServerStub",
    "Stubs",
    "from_channel",
]

M_co = TypeVar("M_co", covariant=True)


class MessageStream(Protocol[M_co]):
    """A running server stream: iterate over it once."""

    def __aiter__(self) -> AsyncIterator[M_co]: ...

    def cancel(self) -> bool:
        """Ends the call at once; says False if it had ended already."""


class GenerationStub(Protocol):
    """GenerationService, as far as REST speaks it."""

    def Generate(
        self, request: generation_pb2.GenerateRequest, /
    ) -> MessageStream[generation_pb2.GenerateResponse]: ...

    def Chat(self, request: chat_pb2.ChatRequest, /) -> MessageStream[chat_pb2.ChatResponse]: ...

    def Render(
        self, request: generation_service_pb2.RenderRequest, /
    ) -> Awaitable[generation_service_pb2.RenderResponse]: ...

    def Tokenize(
        self, request: generation_service_pb2.TokenizeRequest, /
    ) -> Awaitable[generation_service_pb2.TokenizeResponse]: ...

    def Detokenize(
        self, request: generation_service_pb2.DetokenizeRequest, /
    ) -> Awaitable[generation_service_pb2.DetokenizeResponse]: ...


class EmbeddingStub(Protocol):
    """EmbeddingService, as far as REST speaks it."""

    def Embed(
        self, request: embedding_service_pb2.EmbedRequest, /
    ) -> Awaitable[embedding_service_pb2.EmbedResponse]: ...

    def Rerank(
        self, request: embedding_service_pb2.RerankRequest, /
    ) -> Awaitable[embedding_service_pb2.RerankResponse]: ...


class ModelStub(Protocol):
    """ModelService, as far as REST speaks it."""

    def ListModels(
        self, request: model_service_pb2.ListModelsRequest, /
    ) -> Awaitable[model_service_pb2.ListModelsResponse]: ...

    def GetModel(
        self, request: model_service_pb2.GetModelRequest, /
    ) -> Awaitable[model_service_pb2.GetModelResponse]: ...

    def CreateModel(
        self, request: model_service_pb2.CreateModelRequest, /
    ) -> MessageStream[model_service_pb2.CreateModelResponse]: ...

    def PullModel(
        self, request: model_service_pb2.PullModelRequest, /
    ) -> MessageStream[model_service_pb2.PullModelResponse]: ...

    def PushModel(
        self, request: model_service_pb2.PushModelRequest, /
    ) -> MessageStream[model_service_pb2.PushModelResponse]: ...

    def CopyModel(
        self, request: model_service_pb2.CopyModelRequest, /
    ) -> Awaitable[model_service_pb2.CopyModelResponse]: ...

    def DeleteModel(
        self, request: model_service_pb2.DeleteModelRequest, /
    ) -> Awaitable[model_service_pb2.DeleteModelResponse]: ...

    def PutBlob(
        self, request_iterator: AsyncIterator[model_service_pb2.PutBlobRequest], /
    ) -> Awaitable[model_service_pb2.PutBlobResponse]: ...

    def HasBlob(
        self, request: model_service_pb2.HasBlobRequest, /
    ) -> Awaitable[model_service_pb2.HasBlobResponse]: ...

    def ShowModel(
        self, request: model_service_pb2.ShowModelRequest, /
    ) -> Awaitable[model_service_pb2.ShowModelResponse]: ...

    def ListLoaded(
        self, request: model_service_pb2.ListLoadedRequest, /
    ) -> Awaitable[model_service_pb2.ListLoadedResponse]: ...

    def Load(
        self, request: model_service_pb2.LoadRequest, /
    ) -> Awaitable[model_service_pb2.LoadResponse]: ...

    def Unload(
        self, request: model_service_pb2.UnloadRequest, /
    ) -> Awaitable[model_service_pb2.UnloadResponse]: ...


class ServerStub(Protocol):
    """ServerService, as far as REST speaks it."""

    def GetVersion(
        self, request: server_service_pb2.GetVersionRequest, /
    ) -> Awaitable[server_service_pb2.GetVersionResponse]: ...

    def GetMetrics(
        self, request: server_service_pb2.GetMetricsRequest, /
    ) -> Awaitable[server_service_pb2.GetMetricsResponse]: ...


class HealthStub(Protocol):
    """grpc.health.v1.Health, as far as REST speaks it."""

    def Check(
        self, request: health_pb2.HealthCheckRequest, /
    ) -> Awaitable[health_pb2.HealthCheckResponse]: ...


@dataclass(frozen=True)
class Stubs:
    """The engine, seen from the adapter."""

    generation: GenerationStub
    models: ModelStub
    server: ServerStub
    embedding: EmbeddingStub
    health: HealthStub


def from_channel(channel: grpc.aio.Channel) -> Stubs:
    """Stubs of an engine in another process."""
    return Stubs(
        generation_service_pb2_grpc.GenerationServiceStub(channel),
        model_service_pb2_grpc.ModelServiceStub(channel),
        server_service_pb2_grpc.ServerServiceStub(channel),
        embedding_service_pb2_grpc.EmbeddingServiceStub(channel),
        health_pb2_grpc.HealthStub(channel),
    )
