"""The body of /v1/messages, made into that of /api/chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamawire.v1 import chat_pb2, generation_pb2, options_pb2

from .. import gojson
from ..convert_chat import ChatBody
from ..dialect import format_of, int32, read_members
from ..gotext import quote
from ..options import ReadOptions
from ..reading import TOOLS_MAX, at_most
from ..tools import check_depth, read_schema
from .blocks import chat_messages, plain_blocks_of, read_messages, text_of

__all__ = ["read_message_request"]

_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}
_BUDGET_MAX = (1 << 31) - 1


def _read_thinking(raw: bytes) -> generation_pb2.Think | None:
    """None: it does not decide. Upstream takes no notice of the budget; ours holds."""
    leaves = {"type": gojson.string, "budget_tokens": gojson.integer}
    given: dict[str, Any] = gojson.nested(raw, "anthropic.ThinkingConfig", leaves, "ThinkingConfig")
    if given.get("type") == "disabled":
        return generation_pb2.Think(enabled=False)
    if given.get("type") != "enabled":
        return None
    budget = given.get("budget_tokens")
    if budget is not None and not 0 <= budget <= _BUDGET_MAX:
        raise gojson.DecodeError(f"thinking.budget_tokens must be 0 to {_BUDGET_MAX}")
    return generation_pb2.Think(enabled=True, budget_tokens=budget)


def _read_output_config(raw: bytes) -> dict[str, Any]:
    leaves = {"effort": gojson.string, "format": format_of("anthropic.OutputFormat")}
    return gojson.nested(raw, "anthropic.OutputConfig", leaves, "OutputConfig")


def _read_strings(raw: bytes) -> list[str]:
    found = gojson.array(raw, "[]string")
    return ["" if item == b"null" else gojson.string(item) for item in found]


def _read_tools(raw: bytes) -> list[chat_pb2.Tool]:
    check_depth(raw)
    found = at_most(TOOLS_MAX, "tools", gojson.array(raw, "[]anthropic.Tool"))
    return [_read_tool(item) for item in found if item != b"null"]


def _read_tool(raw: bytes) -> chat_pb2.Tool:
    given: dict[str, Any] = gojson.nested(raw, "anthropic.Tool", _TOOL, "Tool")
    name, type_ = given.get("name", ""), given.get("type", "")
    if type_.startswith("web_search"):
        # Whoever offers it wants what was found: an answer without would be made up.
        raise gojson.DecodeError(f"tools of the type {quote(type_)} are not supported")
    try:
        schema = read_schema(given["input_schema"]) if "input_schema" in given else ""
    except gojson.DecodeError as error:
        raise gojson.DecodeError(f"invalid input_schema for tool {quote(name)}: {error}") from None
    return chat_pb2.Tool(
        name=name, description=given.get("description", ""), parameters_json_schema=schema
    )


_TOOL: Mapping[str, gojson.Leaf] = {
    "type": gojson.string,
    "name": gojson.string,
    "description": gojson.string,
    "input_schema": gojson.raw_text,
}
_LEAVES: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "max_tokens": int32,
    "messages": read_messages,
    "system": plain_blocks_of("system"),
    "stream": gojson.boolean,
    "temperature": gojson.number,
    "top_p": gojson.number,
    "top_k": int32,
    "stop_sequences": _read_strings,
    "tools": _read_tools,
    "thinking": _read_thinking,
    "output_config": _read_output_config,
    "_debug_render_only": gojson.boolean,
}


def read_message_request(body: bytes) -> ChatBody:
    given = read_members(body, "anthropic", "MessagesRequest", _LEAVES)
    _check(given)
    system = text_of(given.get("system", ()))
    first = [chat_pb2.ChatMessage(role="system", content=system)] if system else []
    output = given.get("output_config", {})
    return ChatBody(
        model=given["model"],
        messages=[*first, *chat_messages(given["messages"])],
        tools=given.get("tools", []),
        stream=given.get("stream", False),
        options=ReadOptions(_options(given)),
        format=output.get("format", b""),
        think=given.get("thinking") or _think_of(output.get("effort", "")),
        debug_render_only=given.get("_debug_render_only", False),
    )


def _check(given: Mapping[str, Any]) -> None:
    """What must be there, in the order in which upstream looks for it."""
    if not given.get("model"):
        raise gojson.DecodeError("model is required")
    if given.get("max_tokens", 0) <= 0:
        raise gojson.DecodeError("max_tokens is required and must be positive")
    if not given.get("messages"):
        raise gojson.DecodeError("messages is required")


def _options(given: Mapping[str, Any]) -> options_pb2.Options:
    """Unlike in OpenAI's dialect the model's own parameters stay where nothing is given."""
    stop: Sequence[str] | None = given.get("stop_sequences")
    return options_pb2.Options(
        num_predict=given["max_tokens"],
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        top_k=given.get("top_k"),
        stop=None if stop is None else options_pb2.StopSequences(values=stop),
    )


def _think_of(effort: str) -> generation_pb2.Think | None:
    if not effort:
        return None
    if effort not in _EFFORTS:
        raise gojson.DecodeError(
            f"invalid output_config.effort: {quote(effort)} "
            '(must be "low", "medium", "high", "xhigh", or "max")'
        )
    return generation_pb2.Think(enabled=True, level=_EFFORTS[effort])
