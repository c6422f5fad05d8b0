"""The body of /v1/chat/completions, made into that of /api/chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamawire.v1 import options_pb2

from .. import gojson
from ..bodies import read_thinking_budget, with_budget
from ..convert_chat import ChatBody
from ..dialect import int32, read_members
from ..options import ReadOptions
from ..tools import tools_of
from .fields import include_usage, stop_sequences, think_of
from .messages import chat_messages, read_messages

__all__ = ["ChatCompletionBody", "read_chat_completion"]


@dataclass(frozen=True)
class ChatCompletionBody:
    """The body of /v1/chat/completions."""

    chat: ChatBody
    include_usage: bool


def _read_format(raw: bytes) -> bytes:
    """`response_format` as Ollama's `format`."""
    leaves = {"type": gojson.string, "json_schema": _read_schema}
    given: dict[str, Any] = gojson.nested(raw, "openai.ResponseFormat", leaves, "ResponseFormat")
    if given.get("type") == "json_object":
        return b'"json"'
    schema: bytes = given.get("json_schema", b"")
    return schema if given.get("type") == "json_schema" else b""


def _read_schema(raw: bytes) -> bytes:
    given = gojson.nested(raw, "openai.JsonSchema", {"schema": gojson.raw_text}, "JsonSchema")
    schema = given.get("schema", b"")
    assert isinstance(schema, bytes)
    return schema


def _read_effort(raw: bytes) -> str:
    leaves = {"effort": gojson.string}
    given = gojson.nested(raw, "openai.Reasoning", leaves, "Reasoning")
    return str(given.get("effort", ""))


_LEAVES: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "messages": read_messages,
    "stream": gojson.boolean,
    "stream_options": include_usage,
    "max_tokens": int32,
    "max_completion_tokens": int32,
    "seed": gojson.integer,
    "stop": gojson.raw_text,
    "temperature": gojson.number,
    "frequency_penalty": gojson.number,
    "presence_penalty": gojson.number,
    "top_p": gojson.number,
    "response_format": _read_format,
    "tools": tools_of("[]api.Tool"),
    "reasoning": _read_effort,
    "reasoning_effort": gojson.string,
    "thinking_token_budget": read_thinking_budget,
    "logprobs": gojson.boolean,
    "top_logprobs": gojson.integer,
    "_debug_render_only": gojson.boolean,
}


def read_chat_completion(body: bytes) -> ChatCompletionBody:
    given = read_members(body, "openai", "ChatCompletionRequest", _LEAVES)
    if not given.get("messages"):
        raise gojson.DecodeError("[] is too short - 'messages'")
    chat = ChatBody(
        model=given.get("model", ""),
        messages=chat_messages(given["messages"]),
        tools=given.get("tools", []),
        stream=given.get("stream", False),
        options=ReadOptions(_options(given)),
        format=given.get("response_format", b""),
        think=with_budget(
            think_of(given.get("reasoning") or given.get("reasoning_effort") or ""),
            given.get("thinking_token_budget"),
        ),
        logprobs=given.get("logprobs", False),
        top_logprobs=given.get("top_logprobs", 0),
        debug_render_only=given.get("_debug_render_only", False),
    )
    return ChatCompletionBody(chat, given.get("stream_options", False))


def _options(given: Mapping[str, Any]) -> options_pb2.Options:
    """OpenAI's defaults win over the model's parameters.

    `max_completion_tokens` is the younger name of `max_tokens`. Upstream does not know it; a client
    that sets a limit means it.
    """
    options = options_pb2.Options(
        temperature=given.get("temperature", 1.0),
        top_p=given.get("top_p", 1.0),
        seed=given.get("seed"),
        frequency_penalty=given.get("frequency_penalty"),
        presence_penalty=given.get("presence_penalty"),
        num_predict=given.get("max_tokens", given.get("max_completion_tokens")),
    )
    if stop := stop_sequences(given.get("stop", b"null"), may_drop=True):
        options.stop.CopyFrom(stop)
    return options
