"""POST /v1/chat/completions, /v1/completions and /v1/responses, GET /v1/models and one of them."""

from __future__ import annotations

import grpc.aio
from aiohttp import web

from llamawire.v1 import model_pb2, model_service_pb2

from ..dialect import object_response
from ..errors import rest_error
from ..exchange import ChatExchange, GenerateExchange
from ..names import local_name
from ..reading import read_body
from ..routing import path_parameter
from ..stubs import Stubs
from ..times import UtcStamp
from .chat_form import ChatCompletionForm
from .chat_request import read_chat_completion
from .completion_form import CompletionForm
from .completion_request import read_completion
from .responses import ResponseForm, read_response_request

__all__ = ["OpenAIHandlers"]

_SECOND = 10**9


class OpenAIHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs, stamp: UtcStamp) -> None:
        self._models = stubs.models
        self._generate = GenerateExchange(stubs)
        self._chat = ChatExchange(stubs)
        self._stamp = stamp

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_chat_completion)
        form = ChatCompletionForm(body.chat.model, self._now_s(), include_usage=body.include_usage)
        return await self._chat.answer(request, body.chat, form)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_completion)
        form = CompletionForm(
            body.generate.model,
            self._now_s(),
            stream=body.generate.stream,
            include_usage=body.include_usage,
        )
        return await self._generate.answer(request, body.generate, form)

    async def responses(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_response_request)
        return await self._chat.answer(request, body.chat, ResponseForm(body, self._now_s))

    async def models(self, request: web.Request) -> web.StreamResponse:
        try:
            listed = await self._models.ListModels(model_service_pb2.ListModelsRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "models", "") from error
        data = [_model(one, one.name) for one in listed.models]
        return object_response({"object": "list", "data": data})

    async def model(self, request: web.Request) -> web.StreamResponse:
        sent = path_parameter(request)
        try:
            got = await self._models.GetModel(
                model_service_pb2.GetModelRequest(model=local_name(sent))
            )
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "show", sent) from error
        return object_response(_model(got.model, sent))

    def _now_s(self) -> int:
        return self._stamp.now_ns() // _SECOND


def _model(model: model_pb2.Model, id_: str) -> dict[str, object]:
    """Its owner is the namespace: the middle of host/namespace/model:tag."""
    namespace = model.full_name.rpartition("/")[0].rpartition("/")[2]
    return {
        "id": id_,
        "object": "model",
        "created": model.modified_at.seconds,
        "owned_by": namespace,
    }
