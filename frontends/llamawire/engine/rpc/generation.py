"""GenerationService: parse, call, reply."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from llamawire.engine.completion import Completions
from llamawire.engine.rpc.convert import generate_reply, grouped, read_generate
from llamawire.engine.rpc.convert_chat import chat_reply, read_chat
from llamawire.engine.rpc.converted import converted
from llamawire.engine.rpc.status import failures_as_status
from llamawire.v1 import chat_pb2, generation_pb2
from llamawire.v1 import generation_service_pb2 as pb
from llamawire.v1 import generation_service_pb2_grpc as pb_grpc

__all__ = ["GenerationServicer"]

Context = grpc.aio.ServicerContext[Any, Any]


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers for `Completions`."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        async with (
            failures_as_status(context),
            self._completions.begin(await converted(read_generate, request)) as completion,
        ):
            async for updates in completion.updates():
                for group in grouped(updates):
                    yield generate_reply(completion, group, return_context=request.return_context)

    async def Chat(
        self, request: chat_pb2.ChatRequest, context: Context
    ) -> AsyncIterator[chat_pb2.ChatResponse]:
        async with (
            failures_as_status(context),
            self._completions.begin(await converted(read_chat, request)) as completion,
        ):
            async for updates in completion.updates():
                for group in grouped(updates):
                    yield chat_reply(completion, group)

    async def Render(self, request: pb.RenderRequest, context: Context) -> pb.RenderResponse:
        async with failures_as_status(context):
            if request.HasField("chat"):
                rendered = await self._completions.render(await converted(read_chat, request.chat))
            else:
                rendered = await self._completions.render(
                    await converted(read_generate, request.generate)
                )
            return pb.RenderResponse(
                prompt=rendered.text,
                image_count=len(rendered.images),
                messages_dropped_count=rendered.messages_dropped_count,
            )

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        async with failures_as_status(context):
            ids = await self._completions.tokenize(
                request.model,
                request.text,
                add_special=request.add_special,
                parse_special=not request.no_parse_special,
            )
            return pb.TokenizeResponse(tokens=generation_pb2.TokenIds(ids=ids))

    async def Detokenize(
        self, request: pb.DetokenizeRequest, context: Context
    ) -> pb.DetokenizeResponse:
        async with failures_as_status(context):
            text = await self._completions.detokenize(request.model, list(request.tokens.ids))
            return pb.DetokenizeResponse(text=text)
