"""The body of /v1/responses, made into that of /api/chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from llamawire.v1 import chat_pb2, options_pb2

from ... import gojson
from ...bodies import read_thinking_budget, with_budget
from ...convert_chat import ChatBody
from ...dialect import format_of, int32, read_members
from ...options import ReadOptions
from ..fields import think_of
from .input import read_input
from .tools import ResponseTools, read_tools

__all__ = ["ResponseBody", "read_response_request"]


@dataclass(frozen=True)
class ResponseBody:
    """The body of /v1/responses: what is asked, and what the answer repeats of it besides."""

    chat: ChatBody
    instructions: str | None
    tools: list[object]
    text: object
    truncation: str
    background: bool
    temperature: float
    top_p: float
    max_output_tokens: int | None
    # `effort` and `summary`, if reasoning was spoken of.
    reasoning: Mapping[str, str | None] | None


def _read_reasoning(raw: bytes) -> dict[str, Any]:
    leaves = {"effort": gojson.string, "summary": gojson.string}
    return gojson.nested(raw, "openai.ResponsesReasoning", leaves, "ResponsesReasoning")


def _read_text(raw: bytes) -> tuple[bytes, object]:
    """The format, and all of it to be repeated."""
    leaves = {"format": format_of("openai.ResponsesTextFormat")}
    given: dict[str, Any] = gojson.nested(raw, "openai.ResponsesText", leaves, "ResponsesText")
    try:
        return given.get("format", b""), msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise gojson.DecodeError(f"text cannot be read: {error}") from None


_LEAVES: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "input": read_input,
    "instructions": gojson.string,
    "max_output_tokens": int32,
    "temperature": gojson.number,
    "top_p": gojson.number,
    "reasoning": _read_reasoning,
    "thinking_token_budget": read_thinking_budget,
    "text": _read_text,
    "tools": read_tools,
    "truncation": gojson.string,
    "background": gojson.boolean,
    "stream": gojson.boolean,
    "_debug_render_only": gojson.boolean,
}
_PLAIN_TEXT: tuple[bytes, object] = (b"", {"format": {"type": "text"}})


def read_response_request(body: bytes) -> ResponseBody:
    given = read_members(body, "openai", "ResponsesRequest", _LEAVES)
    format_, text = given.get("text", _PLAIN_TEXT)
    tools = given.get("tools", ResponseTools())
    return ResponseBody(
        chat=_chat(given, format_, tools),
        instructions=given.get("instructions"),
        tools=tools.told,
        text=text,
        truncation=given.get("truncation", "disabled"),
        background=given.get("background", False),
        temperature=given.get("temperature", 1.0),
        top_p=given.get("top_p", 1.0),
        max_output_tokens=given.get("max_output_tokens"),
        reasoning=given.get("reasoning"),
    )


def _chat(given: Mapping[str, Any], format_: bytes, tools: ResponseTools) -> ChatBody:
    instructions = given.get("instructions")
    first = [chat_pb2.ChatMessage(role="system", content=instructions)] if instructions else []
    return ChatBody(
        model=given.get("model", ""),
        messages=[*first, *given.get("input", [])],
        tools=tools.functions,
        stream=given.get("stream", False),
        options=ReadOptions(
            # The temperature wins over the model's own, as in chat completions; top_p does not.
            options_pb2.Options(
                temperature=given.get("temperature", 1.0),
                top_p=given.get("top_p"),
                num_predict=given.get("max_output_tokens"),
            )
        ),
        format=format_,
        think=with_budget(
            think_of(given.get("reasoning", {}).get("effort", "")),
            given.get("thinking_token_budget"),
        ),
        debug_render_only=given.get("_debug_render_only", False),
    )
