"""Models from and to registries: pull and push."""

from __future__ import annotations

import grpc.aio
from aiohttp import web

from llamawire.v1 import model_service_pb2

from .convert import progress_line
from .convert_transfer import (
    TransferBody,
    pull_request,
    push_request,
    read_pull,
    read_push,
)
from .errors import RestError, mid_stream_text, rest_error
from .gojson import encode
from .names import check_suffixes
from .ndjson import JSON, LineStream, json_response
from .reading import read_body
from .stubs import MessageStream, Stubs

__all__ = ["TransferHandlers"]

Progress = (
    MessageStream[model_service_pb2.PullModelResponse]
    | MessageStream[model_service_pb2.PushModelResponse]
)


class TransferHandlers:
    """The handlers of one application. A client that hangs up ends its transfer."""

    def __init__(self, stubs: Stubs) -> None:
        self._models = stubs.models

    async def pull(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_pull)
        check_suffixes(body.model)
        if not body.model.strip():
            raise RestError(400, "invalid model name")
        progress = self._models.PullModel(pull_request(body))
        return await _relay(request, "pull", body, progress)

    async def push(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_push)
        if not body.model:
            raise RestError(400, "model is required")
        progress = self._models.PushModel(push_request(body))
        return await _relay(request, "push", body, progress)


async def _relay(
    request: web.Request, route: str, body: TransferBody, progress: Progress
) -> web.StreamResponse:
    """The engine's progress as lines, or only its last as one object."""
    stream = LineStream(request)
    last: dict[str, object] = {}
    try:
        async for message in progress:
            last = progress_line(message)
            if body.stream:
                await stream.send([encode(last) + b"\n"])
    except grpc.aio.AioRpcError as error:
        if stream.is_started:
            text = mid_stream_text(error, route, body.model)
            return await stream.finish(encode({"error": text}) + b"\n")
        failed = rest_error(error, route, body.model)
        return json_response(
            {"error": failed.text}, status=failed.status, content_type=JSON, headers=failed.headers
        )
    finally:
        progress.cancel()
    if body.stream:
        return await stream.finish()
    return json_response(last, content_type=JSON)
