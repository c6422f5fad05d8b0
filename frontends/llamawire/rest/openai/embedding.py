"""POST /v1/embeddings, and /v1/rerank, which OpenAI does not have but others call so."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from aiohttp import web

from llamawire.v1 import embedding_service_pb2 as pb

from .. import gojson
from ..convert_embed import (
    EmbedBody,
    dropped,
    read_rerank,
    read_texts,
    rerank_answer,
)
from ..dialect import object_response, read_members
from ..embedding import EmbeddingExchange, written
from ..gofloat import vector32_text
from ..reading import read_body
from ..stubs import Stubs

__all__ = ["EmbeddingHandlers"]

_FORMATS = ("", "float", "base64")


@dataclass(frozen=True)
class OpenAIEmbedBody:
    """The body of /v1/embeddings."""

    embed: EmbedBody
    is_base64: bool


_LEAVES: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "input": gojson.raw_text,
    "dimensions": gojson.integer,
    "encoding_format": gojson.string,
}


def _read_embed(body: bytes) -> OpenAIEmbedBody:
    given = read_members(body, "openai", "EmbedRequest", _LEAVES)
    encoding = given.get("encoding_format", "")
    if encoding.lower() not in _FORMATS:
        raise gojson.DecodeError(
            f"Invalid value for 'encoding_format' = {encoding}. "
            "Supported values: ['float', 'base64']."
        )
    texts = read_texts(given["input"]) if "input" in given else []
    if texts == []:
        raise gojson.DecodeError("invalid input")
    embed = EmbedBody(
        model=given.get("model", ""), texts=texts, dimensions=given.get("dimensions", 0)
    )
    return OpenAIEmbedBody(embed, encoding.lower() == "base64")


def _embed_answer(body: OpenAIEmbedBody, reply: pb.EmbedResponse) -> dict[str, object]:
    data = [
        {"object": "embedding", "embedding": _vector(each, body.is_base64), "index": index}
        for index, each in enumerate(reply.embeddings)
    ]
    answer: dict[str, object] = {
        "object": "list",
        "data": data,
        "model": body.embed.model,
        "usage": _usage(reply.prompt_count),
    }
    return answer | dropped(reply)


def _vector(embedding: pb.Embedding, is_base64: bool) -> object:
    if is_base64:
        return b64encode(np.array(list(embedding.values), "<f4").tobytes()).decode()
    return msgspec.Raw(vector32_text(embedding.values))


def _usage(count: int) -> dict[str, int]:
    return {"prompt_tokens": count, "total_tokens": count}


class EmbeddingHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._exchange = EmbeddingExchange(stubs)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, _read_embed)
        reply = await self._exchange.embed(body.embed, "embed")
        return await written(lambda: object_response(_embed_answer(body, reply)), reply)

    async def rerank(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, read_rerank)
        reply = await self._exchange.rerank(body, "rerank")
        answer: dict[str, object] = {
            "model": body.model,
            "object": "list",
            "usage": _usage(reply.prompt_count),
            "results": rerank_answer(body, reply),
        }
        return object_response(answer | dropped(reply))
