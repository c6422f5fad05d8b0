"""Vectors and rankings: the engine's dataclasses and the public messages."""

from __future__ import annotations

from llamawire.engine.embeddings import Embedded, EmbedRequest, Ranking, RerankRequest
from llamawire.engine.rpc.convert import given_options, keep_alive_s
from llamawire.v1 import embedding_service_pb2 as pb

__all__ = ["embed_reply", "read_embed", "read_rerank", "rerank_reply"]


def read_embed(request: pb.EmbedRequest) -> EmbedRequest:
    return EmbedRequest(
        model=request.model,
        inputs=tuple(read_input(each) for each in request.inputs),
        dimensions=request.dimensions,
        truncate=request.truncate if request.HasField("truncate") else True,
        options=given_options(request.options),
        keep_alive_s=keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None,
    )


def read_input(each: pb.EmbedInput) -> str | tuple[int, ...]:
    return tuple(each.tokens.ids) if each.WhichOneof("kind") == "tokens" else each.text


def read_rerank(request: pb.RerankRequest) -> RerankRequest:
    return RerankRequest(
        model=request.model,
        query=request.query,
        documents=tuple(request.documents),
        top_n=max(request.top_n, 0),
        truncate=request.truncate if request.HasField("truncate") else True,
        options=given_options(request.options),
        keep_alive_s=keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None,
    )


def embed_reply(embedded: Embedded) -> pb.EmbedResponse:
    return pb.EmbedResponse(
        embeddings=[pb.Embedding(values=vector.tolist()) for vector in embedded.vectors],
        prompt_count=embedded.kept_count,
        prompt_dropped_count=embedded.dropped_count,
        total_ns=embedded.total_ns,
        load_ns=embedded.load_ns,
    )


def rerank_reply(ranking: Ranking) -> pb.RerankResponse:
    return pb.RerankResponse(
        results=[pb.RerankResult(index=each.index, score=each.score) for each in ranking.documents],
        prompt_count=ranking.kept_count,
        prompt_dropped_count=ranking.dropped_count,
        total_ns=ranking.total_ns,
    )
