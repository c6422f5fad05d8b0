"""POST /api/generate and /api/chat."""

from __future__ import annotations

from aiohttp import HttpVersion11, web

from .chat_form import ChatForm
from .convert_chat import read_chat
from .convert_generate import read_generate
from .errors import RestError
from .exchange import ChatExchange, GenerateExchange
from .generate_form import GenerateForm
from .ndjson import JSON, json_response
from .reading import read_body
from .stubs import Stubs
from .times import UtcStamp

__all__ = ["GenerationHandlers"]


class GenerationHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs, stamp: UtcStamp) -> None:
        self._generate = GenerateExchange(stubs)
        self._chat = ChatExchange(stubs)
        self._stamp = stamp

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_generate)
        try:
            return await self._generate.answer(request, body, GenerateForm(body.model, self._stamp))
        except RestError as error:
            return _failed(request, body.stream, error)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_chat)
        try:
            return await self._chat.answer(request, body, ChatForm(body.model, self._stamp))
        except RestError as error:
            return _failed(request, body.stream, error)


def _failed(request: web.Request, stream: bool, error: RestError) -> web.Response:
    """An error that upstream's runner finds when a stream was asked for: no charset, chunked."""
    if not (stream and error.from_runner):
        raise error
    response = json_response({"error": error.text}, status=error.status, content_type=JSON)
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    return response
