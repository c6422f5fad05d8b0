"""The one place where API keys are asked for, over gRPC and REST alike.

`KeyCheck` stands before the servicers of the gRPC server, `Guard.behind` before those that the
adapter in this process calls. Both know the key by the call's metadata `authorization`, which the
adapter fills from the HTTP header of that name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, cast

import grpc

from llamawire.engine.access import Caller, Keyring
from llamawire.engine.access.key import ADMIN, GENERATE, METRICS, MODELS
from llamawire.engine.errors import EngineError
from llamawire.engine.rpc.refusal import Handler, refusing
from llamawire.engine.rpc.status import failures_as_status
from llamawire.v1 import (
    chat_pb2,
    generation_pb2,
    generation_service_pb2,
    model_service_pb2,
)

__all__ = ["OPEN", "SCOPES", "Guard", "KeyCheck"]

OPEN = "/grpc.health.v1.Health/"
"""Asked by those who watch the server, and tells nothing but that it is well."""

ANY = (GENERATE, MODELS)
COMPUTES = "/llamawire.v1.GenerationService/"
EMBEDS = "/llamawire.v1.EmbeddingService/"
STORES = "/llamawire.v1.ModelService/"
SERVES = "/llamawire.v1.ServerService/"
SCOPES: dict[str, tuple[str, ...]] = {
    COMPUTES + "Generate": (GENERATE,),
    COMPUTES + "Chat": (GENERATE,),
    COMPUTES + "Render": (GENERATE,),
    COMPUTES + "Tokenize": (GENERATE,),
    COMPUTES + "Detokenize": (GENERATE,),
    EMBEDS + "Embed": (GENERATE,),
    EMBEDS + "Rerank": (GENERATE,),
    STORES + "ListModels": ANY,
    STORES + "GetModel": ANY,
    STORES + "ShowModel": ANY,
    STORES + "ListLoaded": ANY,
    STORES + "Load": ANY,
    STORES + "Unload": (MODELS,),
    STORES + "CreateModel": (MODELS,),
    STORES + "CopyModel": (MODELS,),
    STORES + "DeleteModel": (MODELS,),
    STORES + "PutBlob": (MODELS,),
    STORES + "HasBlob": (MODELS,),
    STORES + "PullModel": (MODELS,),
    STORES + "PushModel": (MODELS,),
    SERVES + "GetVersion": ANY,
    SERVES + "GetMetrics": (METRICS,),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANY,
}
"""Any one of a method's scopes will do; what is not listed is for ADMIN alone."""

UNCOUNTED = frozenset(
    (
        *(STORES + name for name in ("ListModels", "GetModel", "ShowModel", "ListLoaded")),
        STORES + "HasBlob",
        SERVES + "GetVersion",
        SERVES + "GetMetrics",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )
)
"""Questions that cost nothing are no requests for `requests_per_minute`: one request over REST may
ask several of them."""

SPENDS_TOKENS = frozenset(
    (COMPUTES + "Generate", COMPUTES + "Chat", EMBEDS + "Embed", EMBEDS + "Rerank")
)

ASKS = (chat_pb2.ChatRequest, generation_pb2.GenerateRequest)
LISTS = (model_service_pb2.ListModelsResponse, model_service_pb2.ListLoadedResponse)
NAMES = ("model", "from", "source", "destination")
"""The fields of requests that name models."""

Metadata = Any
Behavior = Callable[[Any, Any], Any]


class Guard:
    """Lets calls in, each with its caller's key."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def enter(self, method: str, metadata: Metadata) -> Caller:
        """Who calls; KeyMissing, KeyInvalid, ScopeMissing, QuotaExceeded."""
        caller = self._keyring.caller(authorization(metadata))
        caller.check_scope(SCOPES.get(method, (ADMIN,)))
        if method in SPENDS_TOKENS:
            caller.check_tokens()
        if method not in UNCOUNTED:
            caller.count_request()
        return caller

    def behind(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:
        """`behavior`, a method of a servicer, for callers with a key."""

        async def entered(context: Any) -> Caller:
            async with failures_as_status(context):
                return self.enter(method, context.invocation_metadata())

        async def unary(request: Any, context: Any) -> Any:
            caller = await entered(context)
            return await watched(behavior, caller)(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            caller = await entered(context)
            async with aclosing(watched_stream(behavior, caller)(request, context)) as replies:
                async for reply in replies:
                    yield reply

        return stream if streams else unary


class KeyCheck(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Refuses a call without a good key before its message is read."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        if method.startswith(OPEN):
            return await continuation(handler_call_details)
        try:
            caller = self._guard.enter(method, handler_call_details.invocation_metadata)
        except EngineError as error:
            return refusing(error)
        handler = await continuation(handler_call_details)
        return handler if handler is None else with_caller(handler, caller)


def with_caller(handler: Any, caller: Caller) -> Handler:
    """The handler, with its requests and replies watched. Requests that are streams name no
    models."""
    if handler.request_streaming:
        return cast("Handler", handler)
    codec = (handler.request_deserializer, handler.response_serializer)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(
            watched_stream(handler.unary_stream, caller), *codec
        )
    return grpc.unary_unary_rpc_method_handler(watched(handler.unary_unary, caller), *codec)


def watched(behavior: Behavior, caller: Caller) -> Behavior:
    async def unary(request: Any, context: Any) -> Any:
        await admit(request, caller, context)
        reply = await behavior(request, context)
        caller.spend_tokens(getattr(reply, "prompt_count", 0))
        return visible(reply, caller)

    return unary


def watched_stream(behavior: Behavior, caller: Caller) -> Behavior:
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        await admit(request, caller, context)
        meter = Meter(caller)
        async with aclosing(behavior(request, context)) as replies:
            async for reply in replies:
                meter.read(reply)
                yield reply

    return stream


async def admit(request: Any, caller: Caller, context: Any) -> None:
    """Ends the call if it is for a model that the key may not use. Its user becomes one of the
    key's, so that nobody gets another key's share by calling himself as its users are called."""
    async with failures_as_status(context):
        for name in model_names(request):
            caller.check_model(name)
    if isinstance(request, ASKS):
        request.user = f"{caller.key.id}/{request.user}"


def model_names(request: Any) -> Iterator[str]:
    """Every model that a request names, those of a message within it too."""
    if isinstance(request, generation_service_pb2.RenderRequest):
        request = request.chat if request.HasField("chat") else request.generate
    fields = getattr(request, "DESCRIPTOR", None)
    for field in NAMES:
        # Empty is not given; where it has to be, the servicer says so.
        if fields is not None and field in fields.fields_by_name and getattr(request, field):
            yield getattr(request, field)


def visible(reply: Any, caller: Caller) -> Any:
    """A list without what the key may not use."""
    if not isinstance(reply, LISTS):
        return reply
    models: list[Any] = [each for each in reply.models if caller.key.allows_model(each.name)]
    return type(reply)(models=models)


class Meter:
    """Counts the tokens of one answer as they pass, so that one that is left counts as well."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._generated = 0

    def read(self, reply: Any) -> None:
        """A GenerateResponse or a ChatResponse; others cost nothing."""
        if "event" not in reply.DESCRIPTOR.oneofs_by_name:
            return
        event = reply.WhichOneof("event")
        if event == "started":
            self._caller.spend_tokens(reply.started.prompt_kept_count)
        elif event == "pieces":
            self._spend_generated(sum(len(piece.token_ids) for piece in reply.pieces.pieces))
        elif event == "finished":
            # Not every token stands in a piece: a stop string's do not, nor some marks.
            self._spend_generated(reply.finished.generated_count - self._generated)

    def _spend_generated(self, count: int) -> None:
        self._generated += count
        self._caller.spend_tokens(count)


def authorization(metadata: Metadata) -> str:
    """The first value of that name."""
    for key, value in metadata or ():
        if key == "authorization" and isinstance(value, str):
            return value
    return ""
