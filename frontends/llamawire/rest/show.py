"""All there is to know of one model: show."""

from __future__ import annotations

import asyncio

import grpc.aio
from aiohttp import hdrs, web

from .convert_show import read_show, show_answer, show_request
from .errors import RestError, rest_error
from .names import local_name
from .ndjson import json_response
from .reading import read_body
from .stubs import Stubs

__all__ = ["ShowHandlers"]

# It shows people the base name of a model and means the name that they gave it.
_COPILOT = "GitHubCopilotChat/"


class ShowHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._models = stubs.models

    async def show(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_show)
        name = local_name(body.model, "remote model details are unavailable")
        try:
            shown = await self._models.ShowModel(show_request(body, name))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "show", body.model) from error
        if shown.remote_host and body.is_local_only:
            raise RestError(404, f"model '{body.model}' not found")
        is_copilot = request.headers.get(hdrs.USER_AGENT, "").startswith(_COPILOT)
        base_name = body.model if is_copilot else None
        if body.verbose:
            # A vocabulary of a quarter million tokens takes its time; others go on meanwhile.
            return await asyncio.to_thread(lambda: json_response(show_answer(shown, base_name)))
        return json_response(show_answer(shown, base_name))
