"""POST /api/embed, /api/embeddings and /api/rerank."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio
from aiohttp import web

from llamawire.v1 import embedding_service_pb2 as pb
from llamawire.v1 import model_service_pb2

from .convert_embed import (
    EmbedBody,
    RerankBody,
    dropped,
    embed_answer,
    embed_request,
    legacy_answer,
    read_embed,
    read_legacy,
    read_rerank,
    rerank_answer,
    rerank_request,
)
from .errors import RestError, error_info, rest_error
from .names import local_name
from .ndjson import json_response
from .options import ReadOptions
from .reading import read_body
from .stubs import Stubs

__all__ = ["EmbeddingExchange", "EmbeddingHandlers", "written"]


# Longer answers are written in a thread.
_INLINE_VECTORS_MAX = 16


async def written(write: Callable[[], web.Response], reply: pb.EmbedResponse) -> web.Response:
    """The answer; others go on while a long one is written."""
    if len(reply.embeddings) <= _INLINE_VECTORS_MAX:
        return write()
    return await asyncio.to_thread(write)


class EmbeddingExchange:
    """Asks the engine, in the order in which upstream looks for what is wrong."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs

    async def embed(self, body: EmbedBody, route: str) -> pb.EmbedResponse:
        """Raises RestError in the words of `route`."""
        name = local_name(body.model)
        try:
            if body.texts is None:
                await self._refuse_input(name)
            await self._check_options(body.options, name)
            return await self._stubs.embedding.Embed(embed_request(body, name))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, route, body.model) from error

    async def rerank(self, body: RerankBody, route: str) -> pb.RerankResponse:
        name = local_name(body.model)
        try:
            await self._check_options(body.options, name)
            return await self._stubs.embedding.Rerank(rerank_request(body, name))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, route, body.model) from error

    async def _refuse_input(self, name: str) -> None:
        """A name that is none comes first; whether there is such a model does not matter."""
        try:
            await self._get_model(name)
        except grpc.aio.AioRpcError as error:
            if error_info(error).reason in ("INVALID_MODEL_NAME", "MODEL_REQUIRED"):
                raise
        raise RestError(400, "invalid input type")

    async def _check_options(self, options: ReadOptions, name: str) -> None:
        if options.error:
            await self._get_model(name)
            raise RestError(500, options.error)

    async def _get_model(self, name: str) -> None:
        await self._stubs.models.GetModel(model_service_pb2.GetModelRequest(model=name))


class EmbeddingHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._exchange = EmbeddingExchange(stubs)

    async def embed(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_embed)
        reply = await self._exchange.embed(body, "embed")
        return await written(lambda: json_response(embed_answer(body.model, reply)), reply)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_legacy)
        reply = await self._exchange.embed(body, "embeddings")
        return json_response(legacy_answer(reply))

    async def rerank(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_rerank)
        reply = await self._exchange.rerank(body, "rerank")
        answer: dict[str, object] = {
            "model": body.model,
            "results": rerank_answer(body, reply),
            "total_duration": reply.total_ns,
            "prompt_eval_count": reply.prompt_count,
        }
        return json_response(answer | dropped(reply))
