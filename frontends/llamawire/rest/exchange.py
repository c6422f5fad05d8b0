"""One question to a model and its answer, in whatever form.

The engine makes the checks and this file keeps their order: what upstream would find only after it
has looked at the model waits until the engine has been asked about the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Generic, TypeVar

import grpc.aio
from aiohttp import web

from llamawire.v1 import (
    chat_pb2,
    generation_pb2,
    generation_service_pb2,
    model_pb2,
    model_service_pb2,
)

from .bodies import Body, load_request
from .convert import CAPABILITIES
from .convert_chat import ChatBody, chat_request
from .convert_generate import GenerateBody, generate_request
from .errors import RestError, capability_error, mid_stream_text, rest_error
from .forms import End, Form, ReplyT
from .names import local_name
from .ndjson import LineStream
from .stubs import MessageStream, Stubs

__all__ = ["ChatExchange", "Exchange", "GenerateExchange"]

TOP_LOGPROBS_MAX = 20
_NO_END = "the engine ended the answer without its last message"

BodyT = TypeVar("BodyT", bound=Body)


class Exchange(ABC, Generic[BodyT, ReplyT]):
    """One kind of question."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs

    @abstractmethod
    def _ask(self, body: BodyT, name: str) -> MessageStream[ReplyT]:
        """Begins the answer; `name` is the model's name as the engine knows it."""

    @abstractmethod
    def _rendering(self, body: BodyT, name: str) -> generation_service_pb2.RenderRequest: ...

    async def answer(
        self, request: web.Request, body: BodyT, form: Form[ReplyT]
    ) -> web.StreamResponse:
        """Raises RestError for whatever goes wrong before something was sent."""
        if not 0 <= body.top_logprobs <= TOP_LOGPROBS_MAX:
            raise RestError(400, f"top_logprobs must be between 0 and {TOP_LOGPROBS_MAX}")
        name = local_name(body.model)
        try:
            return await self._answer(request, body, name, form)
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, body.route, body.model) from error

    async def can(self, body: BodyT, capability: str) -> bool:
        """Whether the model has a capability; raises RestError if there is no such model."""
        try:
            model = await self._model(local_name(body.model))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, body.route, body.model) from error
        return capability in _capabilities(model)

    async def _answer(
        self, request: web.Request, body: BodyT, name: str, form: Form[ReplyT]
    ) -> web.StreamResponse:
        if body.is_empty:
            return form.loaded(await self._load_or_unload(body, name))
        if body.options.error:
            _check(body, await self._model(name))
            raise RestError(500, body.options.error)
        if body.debug_render_only:
            return form.rendered(await self._stubs.generation.Render(self._rendering(body, name)))
        if body.format_error:
            _check(body, await self._model(name))
            raise RestError(500, body.format_error, from_runner=True)
        call = self._ask(body, name)
        try:
            if body.stream:
                return await _stream(request, body, call, form)
            return await _collect(call, form)
        finally:
            # The client may be gone, or its connection: then the work has to end at once.
            call.cancel()

    async def _load_or_unload(self, body: BodyT, name: str) -> str:
        model = await self._model(name)
        if body.is_unload:
            await self._stubs.models.Unload(model_service_pb2.UnloadRequest(model=name))
            return "unload"
        _check(body, model)
        if body.options.error:
            raise RestError(500, body.options.error)
        await self._stubs.models.Load(load_request(body, name))
        return "load"

    async def _model(self, name: str) -> model_pb2.Model:
        got = await self._stubs.models.GetModel(model_service_pb2.GetModelRequest(model=name))
        return got.model


class GenerateExchange(Exchange[GenerateBody, generation_pb2.GenerateResponse]):
    """A prompt."""

    def _ask(self, body: GenerateBody, name: str) -> MessageStream[generation_pb2.GenerateResponse]:
        return self._stubs.generation.Generate(generate_request(body, name))

    def _rendering(self, body: GenerateBody, name: str) -> generation_service_pb2.RenderRequest:
        return generation_service_pb2.RenderRequest(generate=generate_request(body, name))


class ChatExchange(Exchange[ChatBody, chat_pb2.ChatResponse]):
    """A conversation."""

    def _ask(self, body: ChatBody, name: str) -> MessageStream[chat_pb2.ChatResponse]:
        return self._stubs.generation.Chat(chat_request(body, name))

    def _rendering(self, body: ChatBody, name: str) -> generation_service_pb2.RenderRequest:
        return generation_service_pb2.RenderRequest(chat=chat_request(body, name))


def _capabilities(model: model_pb2.Model) -> set[str | None]:
    return {CAPABILITIES.get(one) for one in model.capabilities}


def _check(body: Body, model: model_pb2.Model) -> None:
    """The engine's checks of a request against its model, where the engine is not asked."""
    if body.conflict:
        raise RestError(400, body.conflict)
    has = _capabilities(model)
    lacking = [
        capability_error(capability, body.route, body.model, model.full_name)
        for capability in body.wanted_capabilities
        if capability not in has
    ]
    if lacking:
        raise RestError(400, "\n".join(lacking))


async def _stream(
    request: web.Request, body: Body, call: MessageStream[ReplyT], form: Form[ReplyT]
) -> web.StreamResponse:
    stream = LineStream(request, form.content_type)
    messages_dropped_count = 0
    try:
        async for reply in call:
            event = reply.WhichOneof("event")
            if event == "pieces":
                if lines := form.lines(reply):
                    await stream.send(lines)
            elif event == "started":
                messages_dropped_count = reply.started.messages_dropped_count
            elif event == "finished":
                *lines, last = form.last(End(reply.finished, messages_dropped_count))
                if lines:
                    await stream.send(lines)
                response = await stream.finish(last)
                await _read_to_end(call)
                return response
    except grpc.aio.AioRpcError as error:
        if not stream.is_started:
            raise
        text = mid_stream_text(error, body.route, body.model)
    else:
        text = _NO_END
        if not stream.is_started:
            raise RestError(500, text, from_runner=True)
    return await stream.finish(form.error_line(text))


async def _collect(call: MessageStream[ReplyT], form: Form[ReplyT]) -> web.Response:
    replies: list[ReplyT] = []
    messages_dropped_count = 0
    async for reply in call:
        event = reply.WhichOneof("event")
        if event == "pieces":
            replies.append(reply)
        elif event == "started":
            messages_dropped_count = reply.started.messages_dropped_count
        elif event == "finished":
            await _read_to_end(call)
            return form.whole(replies, End(reply.finished, messages_dropped_count))
    raise RestError(500, _NO_END)


async def _read_to_end(call: MessageStream[ReplyT]) -> None:
    """Lets a call end by itself: a cancel behind its last message would look like a hang-up."""
    with suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass
