"""POST /v1/messages."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from ..exchange import ChatExchange
from ..reading import read_body
from ..stubs import Stubs
from .message_form import MessageForm
from .message_request import read_message_request

__all__ = ["AnthropicHandlers"]


class AnthropicHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._chat = ChatExchange(stubs)

    async def messages(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_message_request)
        if body.wants_thinking and not await self._chat.can(body, "thinking"):
            # Clients ask whatever the model is; a wish is not a condition.
            body = replace(body, think=None)
        return await self._chat.answer(request, body, MessageForm(body))
