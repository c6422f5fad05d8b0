"""Embedding and ranking: JSON bodies and protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llamawire.v1 import embedding_service_pb2 as pb
from llamawire.v1 import options_pb2

from . import gojson
from .bodies import duration_message
from .durations import read_keep_alive
from .gofloat import number32_text, vector32_text, vector64_text
from .options import ReadOptions, read_options
from .reading import INPUTS_MAX, at_most

__all__ = [
    "EmbedBody",
    "RerankBody",
    "dropped",
    "embed_answer",
    "embed_request",
    "legacy_answer",
    "read_embed",
    "read_legacy",
    "read_rerank",
    "read_texts",
    "rerank_answer",
    "rerank_request",
]

_INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class EmbedBody:
    """A request for vectors. `texts` is None where there is something else than text."""

    model: str
    texts: list[str] | None
    truncate: bool | None = None
    dimensions: int = 0
    options: ReadOptions = field(default_factory=lambda: ReadOptions(options_pb2.Options()))
    keep_alive_ns: int | None = None


@dataclass(frozen=True, kw_only=True)
class RerankBody:
    """A request for the order of documents."""

    model: str
    query: str
    documents: list[str]
    top_n: int = 0
    truncate: bool | None = None
    return_documents: bool = False
    options: ReadOptions = field(default_factory=lambda: ReadOptions(options_pb2.Options()))
    keep_alive_ns: int | None = None


def read_texts(raw: bytes) -> list[str] | None:
    """A text or a list of texts; None for anything else."""
    if gojson.kind(raw) == "string":
        return [gojson.string(raw)]
    if gojson.kind(raw) != "array":
        return None
    found = at_most(INPUTS_MAX, "inputs", gojson.elements(raw))
    if any(gojson.kind(each) != "string" for each in found):
        return None
    return [gojson.string(each) for each in found]


def _read_input(raw: bytes) -> list[str] | None:
    """As `read_texts`, but a single empty text is none: it loads the model."""
    return [] if raw == b'""' else read_texts(raw)


_RUN: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "options": read_options,
    "keep_alive": read_keep_alive,
}
_EMBED: Mapping[str, gojson.Leaf] = {
    **_RUN,
    "input": _read_input,
    "truncate": gojson.boolean,
    "dimensions": gojson.integer,
}
_LEGACY: Mapping[str, gojson.Leaf] = {**_RUN, "prompt": gojson.string}


def read_embed(body: bytes) -> EmbedBody:
    given: dict[str, Any] = gojson.decode(body, "EmbedRequest", _EMBED)
    return EmbedBody(
        **_run_fields(given),
        texts=given.get("input", []),
        truncate=given.get("truncate"),
        dimensions=_int32(given.get("dimensions", 0)),
    )


def read_legacy(body: bytes) -> EmbedBody:
    """The older request has one text and no say about its length."""
    given: dict[str, Any] = gojson.decode(body, "EmbeddingRequest", _LEGACY)
    prompt = given.get("prompt", "")
    return EmbedBody(**_run_fields(given), texts=[prompt] if prompt else [], truncate=False)


def _run_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "model": given.get("model", ""),
        "options": given.get("options"),
        "keep_alive_ns": given.get("keep_alive"),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _int32(number: int) -> int:
    return max(-_INT32_MAX, min(number, _INT32_MAX))


def embed_request(body: EmbedBody, name: str) -> pb.EmbedRequest:
    """`name` is the model's name as the engine knows it, without spaces and source suffix."""
    return pb.EmbedRequest(
        model=name,
        inputs=[pb.EmbedInput(text=text) for text in body.texts or ()],
        dimensions=max(body.dimensions, 0),
        truncate=body.truncate,
        options=body.options.options,
        keep_alive=duration_message(body.keep_alive_ns),
    )


def embed_answer(model: str, reply: pb.EmbedResponse) -> dict[str, object]:
    """What is zero is left out, as upstream does; without inputs there is nothing to count."""
    vectors = [msgspec.Raw(vector32_text(each.values)) for each in reply.embeddings]
    answer: dict[str, object] = {"model": model, "embeddings": vectors}
    counts = {
        "total_duration": reply.total_ns,
        "load_duration": reply.load_ns,
        "prompt_eval_count": reply.prompt_count,
    }
    if vectors:
        answer.update((key, value) for key, value in counts.items() if value)
    return answer | dropped(reply)


def legacy_answer(reply: pb.EmbedResponse) -> dict[str, object]:
    """One vector, its numbers widened to float64."""
    values = reply.embeddings[0].values if reply.embeddings else ()
    return {"embedding": msgspec.Raw(vector64_text(values))}


def dropped(reply: pb.EmbedResponse | pb.RerankResponse) -> dict[str, object]:
    """What was cut off the inputs. The key is ours: it is never done in silence."""
    count = reply.prompt_dropped_count
    return {"prompt_dropped_count": count} if count else {}


# ---- ranking -------------------------------------------------------------------------------------


def _read_documents(raw: bytes) -> list[str]:
    """Texts, or objects with a `text`."""
    found = at_most(INPUTS_MAX, "documents", gojson.array(raw, "[]string"))
    return [_read_document(each) for each in found]


def _read_document(raw: bytes) -> str:
    if gojson.kind(raw) == "object":
        return str(gojson.nested(raw, "string", {"text": gojson.string}).get("text", ""))
    return "" if raw == b"null" else gojson.string(raw)


_RERANK: Mapping[str, gojson.Leaf] = {
    **_RUN,
    "query": gojson.string,
    "documents": _read_documents,
    "top_n": gojson.integer,
    "truncate": gojson.boolean,
    "return_documents": gojson.boolean,
}


def read_rerank(body: bytes) -> RerankBody:
    given: dict[str, Any] = gojson.decode(body, "RerankRequest", _RERANK)
    for name in ("query", "documents"):
        if not given.get(name):
            raise gojson.DecodeError(f"{name} is required")
    return RerankBody(
        **_run_fields(given),
        query=given["query"],
        documents=given["documents"],
        top_n=_int32(given.get("top_n", 0)),
        truncate=given.get("truncate"),
        return_documents=given.get("return_documents", False),
    )


def rerank_request(body: RerankBody, name: str) -> pb.RerankRequest:
    return pb.RerankRequest(
        model=name,
        query=body.query,
        documents=body.documents,
        top_n=max(body.top_n, 0),
        truncate=body.truncate,
        options=body.options.options,
        keep_alive=duration_message(body.keep_alive_ns),
    )


def rerank_answer(body: RerankBody, reply: pb.RerankResponse) -> list[dict[str, object]]:
    """The results, best first."""
    return [_result(body, each) for each in reply.results]


def _result(body: RerankBody, each: pb.RerankResult) -> dict[str, object]:
    score = msgspec.Raw(number32_text(each.score))
    result: dict[str, object] = {"index": each.index, "relevance_score": score}
    if body.return_documents:
        result["document"] = {"text": body.documents[each.index]}
    return result
