"""The body of /v1/completions, made into that of /api/generate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamawire.v1 import options_pb2

from .. import gojson
from ..convert_generate import GenerateBody
from ..dialect import int32, read_members
from ..options import ReadOptions
from .fields import include_usage, stop_sequences

__all__ = ["CompletionBody", "read_completion"]


@dataclass(frozen=True)
class CompletionBody:
    """The body of /v1/completions."""

    generate: GenerateBody
    include_usage: bool


def _float32(raw: bytes) -> float:
    try:
        return gojson.number(raw)
    except gojson.Mismatch as error:
        raise gojson.Mismatch(error.found, "float32") from None


_LEAVES: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "prompt": gojson.string,
    "suffix": gojson.string,
    "stream": gojson.boolean,
    "stream_options": include_usage,
    "max_tokens": int32,
    "seed": gojson.integer,
    "stop": gojson.raw_text,
    "temperature": _float32,
    "top_p": _float32,
    "frequency_penalty": _float32,
    "presence_penalty": _float32,
    "logprobs": gojson.integer,
    "_debug_render_only": gojson.boolean,
}


def read_completion(body: bytes) -> CompletionBody:
    given = read_members(body, "openai", "CompletionRequest", _LEAVES)
    top_logprobs = given.get("logprobs", 0)
    generate = GenerateBody(
        model=given.get("model", ""),
        prompt=given.get("prompt", ""),
        suffix=given.get("suffix", ""),
        stream=given.get("stream", False),
        options=ReadOptions(_options(given)),
        logprobs=top_logprobs > 0,
        top_logprobs=max(top_logprobs, 0),
        debug_render_only=given.get("_debug_render_only", False),
    )
    return CompletionBody(generate, given.get("stream_options", False))


def _options(given: Mapping[str, Any]) -> options_pb2.Options:
    """OpenAI's defaults win over the model's parameters."""
    options = options_pb2.Options(
        temperature=given.get("temperature", 1.0),
        top_p=given.get("top_p") or 1.0,
        seed=given.get("seed"),
        frequency_penalty=given.get("frequency_penalty", 0.0),
        presence_penalty=given.get("presence_penalty", 0.0),
        num_predict=given.get("max_tokens"),
    )
    if stop := stop_sequences(given.get("stop", b"null"), may_drop=False):
        options.stop.CopyFrom(stop)
    return options
