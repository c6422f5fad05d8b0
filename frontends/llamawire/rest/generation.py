"""POST /api/generate.

The engine makes the checks and this file keeps their order: what upstream would find only after it
has looked at the model waits until the engine has been asked about the model.
"""

from __future__ import annotations

from contextlib import suppress

import grpc.aio
from aiohttp import HttpVersion11, web

from llamawire.v1 import (
    generation_pb2,
    generation_service_pb2,
    model_pb2,
    model_service_pb2,
)

from . import convert
from .convert import GenerateBody
from .errors import RestError, capability_error, mid_stream_text, rest_error
from .gojson import encode
from .names import local_name
from .ndjson import JSON, LineStream, TokenLines, json_response
from .stubs import MessageStream, Stubs
from .times import UtcStamp

__all__ = ["GenerationHandlers"]

TOP_LOGPROBS_MAX = 20
_ROUTE = "generate"
_NO_END = "the engine ended the answer without its last message"


class GenerationHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs, stamp: UtcStamp) -> None:
        self._stubs = stubs
        self._stamp = stamp

    async def generate(self, request: web.Request) -> web.StreamResponse:
        body = convert.read_generate(await request.read())
        if not 0 <= body.top_logprobs <= TOP_LOGPROBS_MAX:
            raise RestError(400, f"top_logprobs must be between 0 and {TOP_LOGPROBS_MAX}")
        name = local_name(body.model)
        try:
            return await self._answer(request, body, name)
        except grpc.aio.AioRpcError as error:
            failure = rest_error(error, _ROUTE, body.model)
        except RestError as error:
            failure = error
        if failure.from_runner and body.stream:
            return _runner_error(request, failure)
        raise failure

    async def _answer(
        self, request: web.Request, body: GenerateBody, name: str
    ) -> web.StreamResponse:
        if not body.prompt:
            return await self._load_or_unload(body, name)
        if body.options.error:
            await self._check_model(body, name)
            raise RestError(500, body.options.error)
        if body.debug_render_only:
            return await self._render(body, name)
        if body.format_error:
            await self._check_model(body, name)
            raise RestError(500, body.format_error, from_runner=True)
        call = self._stubs.generation.Generate(convert.generate_request(body, name))
        try:
            if body.stream:
                return await self._stream(request, body, call)
            return await self._collect(body, call)
        finally:
            # The client may be gone, or its connection: then the work has to end at once.
            call.cancel()

    async def _load_or_unload(self, body: GenerateBody, name: str) -> web.Response:
        model = await self._get_model(name)
        if body.is_unload:
            await self._stubs.models.Unload(model_service_pb2.UnloadRequest(model=name))
            return json_response(convert.load_answer(body.model, self._now(), "unload"))
        _check(body, model)
        if body.options.error:
            raise RestError(500, body.options.error)
        await self._stubs.models.Load(convert.load_request(body, name))
        return json_response(convert.load_answer(body.model, self._now(), "load"))

    async def _render(self, body: GenerateBody, name: str) -> web.Response:
        generate = convert.generate_request(body, name)
        rendered = await self._stubs.generation.Render(
            generation_service_pb2.RenderRequest(generate=generate)
        )
        answer = convert.debug_answer(
            body.model, self._now(), rendered.prompt, rendered.image_count
        )
        return json_response(answer)

    async def _check_model(self, body: GenerateBody, name: str) -> None:
        _check(body, await self._get_model(name))

    async def _get_model(self, name: str) -> model_pb2.Model:
        got = await self._stubs.models.GetModel(model_service_pb2.GetModelRequest(model=name))
        return got.model

    async def _stream(
        self,
        request: web.Request,
        body: GenerateBody,
        call: MessageStream[generation_pb2.GenerateResponse],
    ) -> web.StreamResponse:
        lines = TokenLines(body.model, self._stamp)
        stream = LineStream(request)
        messages_dropped_count = 0
        try:
            async for message in call:
                event = message.WhichOneof("event")
                if event == "pieces":
                    ready = [lines.line(one.text) for one in message.pieces.pieces if one.text]
                    if ready:
                        await stream.send(ready)
                elif event == "started":
                    messages_dropped_count = message.started.messages_dropped_count
                elif event == "finished":
                    last = self._final(body, "", message.finished, messages_dropped_count)
                    response = await stream.finish(encode(last) + b"\n")
                    await _read_to_end(call)
                    return response
        except grpc.aio.AioRpcError as error:
            if not stream.is_started:
                raise
            text = mid_stream_text(error, _ROUTE, body.model)
        else:
            text = _NO_END
            if not stream.is_started:
                raise RestError(500, text, from_runner=True)
        return await stream.finish(encode({"error": text}) + b"\n")

    async def _collect(
        self, body: GenerateBody, call: MessageStream[generation_pb2.GenerateResponse]
    ) -> web.Response:
        texts: list[str] = []
        messages_dropped_count = 0
        async for message in call:
            event = message.WhichOneof("event")
            if event == "pieces":
                texts.extend(piece.text for piece in message.pieces.pieces)
            elif event == "started":
                messages_dropped_count = message.started.messages_dropped_count
            elif event == "finished":
                await _read_to_end(call)
                response = "".join(texts)
                return json_response(
                    self._final(body, response, message.finished, messages_dropped_count)
                )
        raise RestError(500, _NO_END)

    def _final(
        self,
        body: GenerateBody,
        response: str,
        finished: generation_pb2.Finished,
        messages_dropped_count: int,
    ) -> dict[str, object]:
        return convert.final_answer(
            body.model, self._now(), response, finished, messages_dropped_count
        )

    def _now(self) -> str:
        return self._stamp().decode()


def _check(body: GenerateBody, model: model_pb2.Model) -> None:
    """The engine's checks of a request against its model, where the engine is not asked."""
    if body.has_raw_conflict:
        raise RestError(400, "raw mode does not support template, system, or context")
    wanted = {
        "thinking": body.think is not None and body.think.enabled,
        "completion": True,
        "insert": bool(body.suffix),
    }
    has = {
        "thinking": model_pb2.CAPABILITY_THINKING in model.capabilities,
        "completion": model_pb2.CAPABILITY_COMPLETION in model.capabilities,
        "insert": model_pb2.CAPABILITY_INSERT in model.capabilities,
    }
    lacking = [
        capability_error(capability, body.model, model.full_name)
        for capability, is_wanted in wanted.items()
        if is_wanted and not has[capability]
    ]
    if lacking:
        raise RestError(400, "\n".join(lacking))


async def _read_to_end(call: MessageStream[generation_pb2.GenerateResponse]) -> None:
    """Lets a call end by itself: a cancel behind its last message would look like a hang-up."""
    with suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass


def _runner_error(request: web.Request, error: RestError) -> web.Response:
    """An error that upstream's runner finds when a stream was asked for: no charset, chunked."""
    response = json_response({"error": error.text}, status=error.status, content_type=JSON)
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    return response
