"""Tools and calls of them as clients write them: Go's checks of their types, the engine's messages.

Of a tool's schema only the types are looked at here; which parts of it a model is told of is the
engine's business, so it gets the text as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from google.protobuf import struct_pb2

from llamawire.v1 import chat_pb2

from . import gojson
from .reading import TOOLS_MAX, at_most
from .structs import struct_of

__all__ = ["check_depth", "read_arguments", "read_calls", "read_schema", "tools_of"]

_NO_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_INT32_MAX = (1 << 31) - 1

DEPTH_MAX = 128
"""Levels of brackets in `tools`: schemas that people write have a dozen."""


# ---- tools ---------------------------------------------------------------------------------------


def tools_of(go_type: str) -> Callable[[bytes], list[chat_pb2.Tool]]:
    """A leaf for `tools`, which Go reads into a type of this name."""

    def leaf(raw: bytes) -> list[chat_pb2.Tool]:
        check_depth(raw)
        found = at_most(TOOLS_MAX, "tools", gojson.array(raw, go_type))
        return [chat_pb2.Tool() if item == b"null" else _read_tool(item) for item in found]

    return leaf


def check_depth(raw: bytes) -> None:
    """Every level of tools is read again for each level around it, so depth is bounded before."""
    if gojson.depth(raw) > DEPTH_MAX:
        raise gojson.DecodeError(f"tools must be nested at most {DEPTH_MAX} levels deep")


def _read_tool(raw: bytes) -> chat_pb2.Tool:
    given: dict[str, Any] = gojson.nested(raw, "api.Tool", _TOOL, "Tool")
    return given.get("function") or chat_pb2.Tool()


def _read_function(raw: bytes) -> chat_pb2.Tool:
    given: dict[str, Any] = gojson.nested(raw, "api.ToolFunction", _FUNCTION, "ToolFunction")
    return chat_pb2.Tool(
        name=given.get("name", ""),
        description=given.get("description", ""),
        parameters_json_schema=given.get("parameters", ""),
    )


def _read_parameters(raw: bytes) -> str:
    leaves = _parameters("tools.function.parameters.properties")
    gojson.nested(raw, "api.ToolFunctionParameters", leaves, "ToolFunctionParameters")
    return _schema_text(raw)


def read_schema(raw: bytes) -> str:
    """A tool's parameters where they do not stand in a `function`; DecodeError in Go's words."""
    gojson.decode(raw, "ToolFunctionParameters", _parameters("properties"))
    return _schema_text(raw)


def _schema_text(raw: bytes) -> str:
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise gojson.DecodeError(f"the parameters of a tool cannot be read: {error}") from None
    return raw.decode()


def _properties_at(place: str) -> gojson.Leaf:
    """Go's type for these decodes itself, so that the first mistake in it ends the decoding."""

    def leaf(raw: bytes) -> None:
        try:
            _check_properties(raw)
        except gojson.Postponed as error:
            raise gojson.DecodeError(error.message("ToolFunctionParameters", place)) from None

    return leaf


def _check_properties(raw: bytes) -> None:
    if raw[0] != ord("{"):
        raise gojson.DecodeError(_NO_OBJECT)
    for _, value in gojson.members(raw):
        _check_property(value)


def _check_property(raw: bytes) -> None:
    if raw != b"null":
        gojson.nested(raw, "api.ToolProperty", _PROPERTY)


def _check_alternatives(raw: bytes) -> None:
    for item in gojson.array(raw, "[]api.ToolProperty"):
        _check_property(item)


def _check_type(raw: bytes) -> None:
    """The one type of a property, or a list of types."""
    if gojson.kind(raw) != "string":
        _check_strings(raw)


def _check_strings(raw: bytes) -> None:
    for item in gojson.array(raw, "[]string"):
        if item != b"null":
            gojson.string(item)


def _check_list(raw: bytes) -> None:
    gojson.array(raw, "[]interface {}")


_PROPERTY: Mapping[str, gojson.Leaf] = {
    "anyOf": _check_alternatives,
    "type": _check_type,
    "description": gojson.string,
    "enum": _check_list,
    "properties": _check_properties,
    "required": _check_strings,
}


def _parameters(place: str) -> Mapping[str, gojson.Leaf]:
    """The leaves of a schema; `place` is where a mistake in its properties is said to be."""
    return {
        "type": gojson.string,
        "required": _check_strings,
        "properties": _properties_at(place),
    }


_FUNCTION: Mapping[str, gojson.Leaf] = {
    "name": gojson.string,
    "description": gojson.string,
    "parameters": _read_parameters,
}
_TOOL: Mapping[str, gojson.Leaf] = {"type": gojson.string, "function": _read_function}


# ---- calls ---------------------------------------------------------------------------------------


def read_calls(raw: bytes) -> list[chat_pb2.ToolCall]:
    """A leaf for the `tool_calls` of a message."""
    found = at_most(TOOLS_MAX, "tool_calls", gojson.array(raw, "[]api.ToolCall"))
    return [chat_pb2.ToolCall() if item == b"null" else _read_call(item) for item in found]


def _read_call(raw: bytes) -> chat_pb2.ToolCall:
    leaves = {"id": gojson.string, "function": _read_called}
    given: dict[str, Any] = gojson.nested(raw, "api.ToolCall", leaves)
    call: chat_pb2.ToolCall = given.get("function") or chat_pb2.ToolCall()
    call.id = given.get("id", "")
    return call


def _read_called(raw: bytes) -> chat_pb2.ToolCall:
    given: dict[str, Any] = gojson.nested(raw, "api.ToolCallFunction", _CALLED)
    return chat_pb2.ToolCall(
        index=min(max(given.get("index", 0), -_INT32_MAX), _INT32_MAX),
        name=given.get("name", ""),
        arguments=given.get("arguments"),
    )


_ARGUMENTS = struct_of("arguments")


def read_arguments(raw: bytes) -> struct_pb2.Struct:
    if raw[0] != ord("{"):
        raise gojson.DecodeError(_NO_OBJECT)
    return _ARGUMENTS(raw)


_CALLED: Mapping[str, gojson.Leaf] = {
    "index": gojson.integer,
    "name": gojson.string,
    "arguments": read_arguments,
}
