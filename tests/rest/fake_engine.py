"""An engine that says what it is told, seen through a real channel or in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from llamawire.v1 import (
    chat_pb2,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    generation_pb2,
    generation_service_pb2,
    generation_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

MODEL = model_pb2.Model(
    name="tiny:latest",
    digest="ab" * 32,
    size_bytes=1234,
    modified_at=timestamp_pb2.Timestamp(seconds=1_700_000_000, nanos=120_000_000),
    details=model_pb2.ModelDetails(
        format="gguf", family="llama", families=["llama"], parameter_size="1M",
        quantization_level="F16", context_length=256,
    ),
    capabilities=[model_pb2.CAPABILITY_COMPLETION],
    full_name="registry.ollama.ai/library/tiny:latest",
)  # fmt: skip


STREAMING = frozenset(("Generate", "Chat", "CreateModel", "PullModel", "PushModel"))


class Failed(Exception):
    """The engine answers with this error."""

    def __init__(
        self,
        reason: str = "",
        message: str = "it went wrong",
        code: grpc.StatusCode = grpc.StatusCode.INTERNAL,
        retry_s: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = status_pb2.Status(code=code.value[0], message=message)
        details: list[object] = []
        if reason:
            details.append(
                error_details_pb2.ErrorInfo(reason=reason, domain="llamawire", metadata=metadata)
            )
        if retry_s is not None:
            retry = duration_pb2.Duration()
            retry.FromNanoseconds(int(retry_s * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=retry))
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            self.status.details.append(packed)

    def as_rpc_error(self) -> grpc.aio.AioRpcError:
        trailing = grpc.aio.Metadata(("grpc-status-details-bin", self.status.SerializeToString()))
        return grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), trailing, self.message)


def started(**fields: object) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(started=generation_pb2.Started(**fields))


def pieces(*texts: str) -> generation_pb2.GenerateResponse:
    found = [generation_pb2.Piece(text=text) for text in texts]
    return generation_pb2.GenerateResponse(pieces=generation_pb2.Pieces(pieces=found))


def finished(**fields: object) -> generation_pb2.GenerateResponse:
    fields.setdefault("reason", generation_pb2.FINISH_REASON_STOP)
    return generation_pb2.GenerateResponse(finished=generation_pb2.Finished(**fields))


def hello() -> list[object]:
    return [
        started(),
        pieces("Hel"),
        pieces("lo", "!"),
        finished(
            prompt_count=5, generated_count=3, total_ns=265359300, load_ns=260811435,
            prompt_ns=713000, generate_ns=1928000,
            context=generation_pb2.TokenIds(ids=[403, 407, 261]),
        ),
    ]  # fmt: skip


def chat_started(**fields: object) -> chat_pb2.ChatResponse:
    return chat_pb2.ChatResponse(started=generation_pb2.Started(**fields))


def chat_pieces(*found: chat_pb2.ChatPiece | str) -> chat_pb2.ChatResponse:
    """Pieces; a text is a piece of content."""
    all_ = [chat_pb2.ChatPiece(content=one) if isinstance(one, str) else one for one in found]
    return chat_pb2.ChatResponse(pieces=chat_pb2.ChatPieces(pieces=all_))


def chat_finished(**fields: object) -> chat_pb2.ChatResponse:
    fields.setdefault("reason", generation_pb2.FINISH_REASON_STOP)
    return chat_pb2.ChatResponse(finished=generation_pb2.Finished(**fields))


def chat_hello() -> list[object]:
    return [
        chat_started(),
        chat_pieces("Hel"),
        chat_pieces("lo", "!"),
        chat_finished(
            prompt_count=18, generated_count=3, total_ns=15790734, load_ns=1569612,
            prompt_ns=11838000, generate_ns=629000,
        ),
    ]  # fmt: skip


def tool_call(
    name: str, arguments: dict[str, object], index: int = 0, id_: str = "call_r0zjq7px"
) -> chat_pb2.ToolCall:
    call = chat_pb2.ToolCall(id=id_, index=index, name=name)
    call.arguments.update(arguments)
    return call


@dataclass
class FakeEngine:
    """What it was asked stands in `requests`; what it answers can be set."""

    answer: list[object] = field(default_factory=hello)
    chat_answer: list[object] = field(default_factory=lambda: chat_hello())
    failures: dict[str, Failed] = field(default_factory=dict)
    requests: list[object] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    model: model_pb2.Model = field(default_factory=lambda: MODEL)
    models: list[model_pb2.Model] = field(default_factory=list)
    rendered: generation_service_pb2.RenderResponse = field(
        default_factory=lambda: generation_service_pb2.RenderResponse(prompt="<rendered>")
    )
    shown: model_service_pb2.ShowModelResponse = field(
        default_factory=lambda: model_service_pb2.ShowModelResponse(model=MODEL)
    )
    embedded: embedding_service_pb2.EmbedResponse = field(
        default_factory=embedding_service_pb2.EmbedResponse
    )
    ranked: embedding_service_pb2.RerankResponse = field(
        default_factory=embedding_service_pb2.RerankResponse
    )
    loaded: list[model_pb2.LoadedModel] = field(default_factory=list)
    progress: list[object] = field(default_factory=list)
    blobs: set[str] = field(default_factory=set)
    put_bytes: int = 0
    is_draining: bool = False
    put_answers_early: bool = False
    sent_count: int = 0
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: bool = False

    def names(self) -> list[str]:
        return [type(request).__name__.removesuffix("Request") for request in self.requests]

    def last(self, kind: type[object]) -> object:
        return [request for request in self.requests if isinstance(request, kind)][-1]

    def note_metadata(self, metadata: Any) -> None:
        """What a call said of who calls."""
        self.authorizations.append(dict(metadata).get("authorization", ""))

    def _note(self, request: object) -> None:
        self.requests.append(request)
        self.is_asked.set()
        name = type(request).__name__.removesuffix("Request")
        if name in self.failures:
            raise self.failures[name]

    async def Generate(self, request: object) -> AsyncIterator[object]:
        self._note(request)
        async for message in self._play(self.answer):
            yield message

    async def Chat(self, request: object) -> AsyncIterator[object]:
        self._note(request)
        async for message in self._play(self.chat_answer):
            yield message

    async def CreateModel(self, request: object) -> AsyncIterator[object]:
        self._note(request)
        async for message in self._play(self.progress):
            yield message

    async def PullModel(self, request: object) -> AsyncIterator[object]:
        self._note(request)
        async for message in self._play(self.progress):
            yield message

    async def PushModel(self, request: object) -> AsyncIterator[object]:
        self._note(request)
        async for message in self._play(self.progress):
            yield message

    async def _play(self, script: Iterable[object]) -> AsyncIterator[object]:
        try:
            for step in script:
                if isinstance(step, Failed):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
                yield step
                self.sent_count += 1
        except (asyncio.CancelledError, GeneratorExit):
            self.was_cancelled = True
            raise
        finally:
            self.has_ended.set()

    async def Render(self, request: object) -> object:
        self._note(request)
        return self.rendered

    async def Tokenize(self, request: generation_service_pb2.TokenizeRequest) -> object:
        self._note(request)
        ids = list(request.text.encode())
        return generation_service_pb2.TokenizeResponse(tokens=generation_pb2.TokenIds(ids=ids))

    async def Detokenize(self, request: generation_service_pb2.DetokenizeRequest) -> object:
        self._note(request)
        text = bytes(request.tokens.ids).decode()
        return generation_service_pb2.DetokenizeResponse(text=text)

    async def Embed(self, request: object) -> object:
        self._note(request)
        return self.embedded

    async def Rerank(self, request: object) -> object:
        self._note(request)
        return self.ranked

    async def ListModels(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.ListModelsResponse(models=self.models)

    async def GetModel(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.GetModelResponse(model=self.model)

    async def ShowModel(self, request: object) -> object:
        self._note(request)
        return self.shown

    async def CopyModel(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.CopyModelResponse()

    async def DeleteModel(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.DeleteModelResponse()

    async def HasBlob(self, request: model_service_pb2.HasBlobRequest) -> object:
        self._note(request)
        return model_service_pb2.HasBlobResponse(exists=request.digest in self.blobs)

    async def PutBlob(self, parts: AsyncIterator[model_service_pb2.PutBlobRequest]) -> object:
        try:
            async for part in parts:
                self.requests.append(part)
                self.put_bytes += len(part.data)
                if "PutBlob" in self.failures:
                    raise self.failures["PutBlob"]
                if self.put_answers_early:
                    return model_service_pb2.PutBlobResponse(existed=True)
                self.is_asked.set()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        finally:
            self.has_ended.set()
        return model_service_pb2.PutBlobResponse(existed=False)

    async def ListLoaded(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.ListLoadedResponse(models=self.loaded)

    async def Load(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.LoadResponse()

    async def Unload(self, request: object) -> object:
        self._note(request)
        return model_service_pb2.UnloadResponse()

    async def GetVersion(self, request: object) -> object:
        self._note(request)
        return server_service_pb2.GetVersionResponse(version="1.2.3")

    async def Check(self, request: health_pb2.HealthCheckRequest) -> object:
        """Models that begin with `late` stand still; `is_draining` is everybody's."""
        self._note(request)
        is_late = self.is_draining or request.service.startswith("late")
        kinds = health_pb2.HealthCheckResponse
        return kinds(status=kinds.NOT_SERVING if is_late else kinds.SERVING)


class LocalStream:
    """A server stream in the same process."""

    def __init__(self, messages: AsyncIterator[object]) -> None:
        self._messages = messages
        self._closing: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[object]:
        try:
            async for message in self._messages:
                yield message
        except Failed as error:
            raise error.as_rpc_error() from None

    def cancel(self) -> bool:
        self._closing = asyncio.ensure_future(self._messages.aclose())
        return True


class LocalStub:
    """Calls the engine's methods as a stub would."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._engine, name)
        if name in STREAMING:

            def stream(request: object, metadata: Any = ()) -> LocalStream:
                self._engine.note_metadata(metadata)
                return LocalStream(method(request))

            return stream

        async def call(request: object, metadata: Any = ()) -> object:
            self._engine.note_metadata(metadata)
            try:
                return await method(request)
            except Failed as error:
                raise error.as_rpc_error() from None

        return call


def unary(
    engine: FakeEngine, method: Callable[[object], Awaitable[object]]
) -> Callable[..., Awaitable[object]]:
    async def serve(self: object, request: object, context: grpc.aio.ServicerContext) -> object:
        engine.note_metadata(context.invocation_metadata())
        try:
            return await method(request)
        except Failed as error:
            await context.abort_with_status(rpc_status.to_status(error.status))
            raise

    return serve


def streaming(
    engine: FakeEngine, method: Callable[[object], AsyncIterator[object]]
) -> Callable[..., object]:
    async def serve(
        self: object, request: object, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[object]:
        engine.note_metadata(context.invocation_metadata())
        messages = method(request)
        try:
            async for message in messages:
                yield message
        except Failed as error:
            await context.abort_with_status(rpc_status.to_status(error.status))
        finally:
            await messages.aclose()

    return serve


def add_to_server(engine: FakeEngine, server: grpc.aio.Server) -> None:
    """The engine's methods as servicers."""
    for module, name in (
        (generation_service_pb2_grpc, "GenerationService"),
        (embedding_service_pb2_grpc, "EmbeddingService"),
        (model_service_pb2_grpc, "ModelService"),
        (server_service_pb2_grpc, "ServerService"),
        (health_pb2_grpc, "Health"),
    ):
        base = getattr(module, f"{name}Servicer")
        methods = {
            rpc: (streaming if rpc in STREAMING else unary)(engine, getattr(engine, rpc))
            for rpc in vars(base)
            if rpc[0].isupper() and hasattr(engine, rpc)
        }
        getattr(module, f"add_{name}Servicer_to_server")(type(name, (base,), methods)(), server)
