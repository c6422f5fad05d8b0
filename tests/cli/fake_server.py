"""A server that says what it is told, on a port of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from llamawire.v1 import (
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    generation_pb2,
    generation_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

pb = model_service_pb2
Reply = generation_pb2.GenerateResponse


def stamp(seconds: float) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=int(seconds))


def model(name: str = "tiny:latest", **fields: Any) -> model_pb2.Model:
    fields = {"capabilities": [model_pb2.CAPABILITY_COMPLETION], "digest": "ab" * 32} | fields
    return model_pb2.Model(name=name, **fields)


def started() -> Reply:
    return Reply(started=generation_pb2.Started())


def pieces(*texts: str) -> Reply:
    found = [generation_pb2.Piece(text=text) for text in texts]
    return Reply(pieces=generation_pb2.Pieces(pieces=found))


def finished(**fields: Any) -> Reply:
    fields = {"reason": generation_pb2.FINISH_REASON_STOP} | fields
    return Reply(finished=generation_pb2.Finished(**fields))


def hello() -> list[Reply]:
    ids = generation_pb2.TokenIds(ids=[4, 5, 6])
    return [started(), pieces("Hel", "lo"), pieces("!"), finished(context=ids)]


def status(code: grpc.StatusCode, reason: str, message: str) -> grpc.Status:
    """A failure as the engine sends it."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(domain="llamawire", reason=reason))
    return rpc_status.to_status(
        status_pb2.Status(code=code.value[0], message=message, details=[info])
    )


NOT_FOUND = status(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "model 'nope:latest' not found")


@dataclass
class FakeServer:
    """`requests` has what it was asked, in order. A call named in `failures` fails at
    once; "mid-stream" is for an answer that fails before its last message."""

    models: list[model_pb2.Model] = field(default_factory=lambda: [model()])
    loaded: list[model_pb2.LoadedModel] = field(default_factory=list)
    shown: pb.ShowModelResponse = field(default_factory=pb.ShowModelResponse)
    answer: list[Reply] = field(default_factory=hello)
    progress: list[Any] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, grpc.Status] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    # Answers wait here before their last message.
    may_finish: threading.Event = field(default_factory=threading.Event)
    was_cancelled: threading.Event = field(default_factory=threading.Event)
    unloadable: str = ""
    on_pull: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.may_finish.set()

    def __getattr__(self, name: str) -> Any:
        """Calls that are not scripted are not implemented."""
        if not name[0].isupper():
            raise AttributeError(name)
        return lambda request, context: context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    def last(self, kind: type[Any]) -> Any:
        return [request for request in self.requests if isinstance(request, kind)][-1]

    def names(self) -> list[str]:
        return [type(request).__name__.removesuffix("Request") for request in self.requests]

    def _note(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        metadata = dict(context.invocation_metadata())
        self.authorizations.append(metadata.get("authorization", ""))
        failure = self.failures.get(type(request).__name__.removesuffix("Request"))
        if failure:
            context.abort_with_status(failure)

    def ListModels(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.ListModelsResponse(models=self.models)

    def GetModel(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        for found in self.models:
            if found.name in (request.model, f"{request.model}:latest"):
                return pb.GetModelResponse(model=found)
        return context.abort_with_status(NOT_FOUND)

    def ShowModel(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return self.shown

    def CopyModel(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.CopyModelResponse()

    def DeleteModel(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.DeleteModelResponse()

    def Unload(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.UnloadResponse(was_loaded=True)

    def Load(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        if request.model == self.unloadable:
            broken = status(grpc.StatusCode.INTERNAL, "LOAD_FAILED", "it is broken")
            context.abort_with_status(broken)
        return pb.LoadResponse()

    def ListLoaded(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.ListLoadedResponse(models=self.loaded)

    def HasBlob(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return pb.HasBlobResponse(exists=request.digest in self.blobs)

    def PutBlob(self, requests: Iterator[Any], context: Any) -> Any:
        first = next(requests)
        self._note(pb.PutBlobRequest(digest=first.digest), context)
        self.blobs[first.digest] = first.data + b"".join(part.data for part in requests)
        return pb.PutBlobResponse()

    def CreateModel(self, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        yield from self.progress

    def PullModel(self, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        context.add_callback(lambda: context.is_active() or self.was_cancelled.set())
        yield from self.progress
        self.on_pull()

    def PushModel(self, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        yield from self.progress

    def Generate(self, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        context.add_callback(lambda: context.is_active() or self.was_cancelled.set())
        yield from self.answer[:-1]
        self.may_finish.wait(20)
        if "mid-stream" in self.failures:
            context.abort_with_status(self.failures["mid-stream"])
        yield self.answer[-1]

    def Embed(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        embedding = embedding_service_pb2.Embedding(values=[0.5, -0.25])
        return embedding_service_pb2.EmbedResponse(embeddings=[embedding])

    def GetVersion(self, request: Any, context: Any) -> Any:
        self._note(request, context)
        return server_service_pb2.GetVersionResponse(version="9.9.9")

    def start(self) -> tuple[grpc.Server, str]:
        """The running server and its address."""
        server = grpc.server(ThreadPoolExecutor(4))
        servicer: Any = self
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
        embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, f"127.0.0.1:{port}"
