"""EmbeddingService: parse, call, reply."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from llamawire.engine.embeddings import Embeddings
from llamawire.engine.rpc.convert_embed import (
    embed_reply,
    read_embed,
    read_rerank,
    rerank_reply,
)
from llamawire.engine.rpc.status import failures_as_status
from llamawire.v1 import embedding_service_pb2 as pb
from llamawire.v1 import embedding_service_pb2_grpc as pb_grpc

__all__ = ["EmbeddingServicer"]

INLINE_NUMBERS_MAX = 16_384
"""Longer answers are made in a thread: not while others wait for their tokens."""

Context = grpc.aio.ServicerContext[Any, Any]


class EmbeddingServicer(pb_grpc.EmbeddingServiceServicer):
    """Answers for `Embeddings`."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        async with failures_as_status(context):
            embedded = await self._embeddings.embed(read_embed(request))
            if embedded.vectors.size <= INLINE_NUMBERS_MAX:
                return embed_reply(embedded)
            return await asyncio.to_thread(embed_reply, embedded)

    async def Rerank(self, request: pb.RerankRequest, context: Context) -> pb.RerankResponse:
        async with failures_as_status(context):
            return rerank_reply(await self._embeddings.rerank(read_rerank(request)))
