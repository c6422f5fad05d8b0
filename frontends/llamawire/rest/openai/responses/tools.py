"""`tools` of a response: functions, alone or in namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llamawire.v1 import chat_pb2

from ... import gojson
from ...gotext import quote
from ...reading import TOOLS_MAX, at_most
from ...tools import check_depth, read_schema

__all__ = ["ResponseTools", "read_tools"]


@dataclass(frozen=True)
class ResponseTools:
    """What the model is told of, and what the answer says that it was."""

    functions: list[chat_pb2.Tool] = field(default_factory=list)
    told: list[object] = field(default_factory=list)


_TOOL: Mapping[str, gojson.Leaf] = {
    "type": gojson.string,
    "name": gojson.string,
    "description": gojson.string,
    "parameters": gojson.raw_text,
    "strict": gojson.boolean,
    "tools": gojson.raw_text,
}


def read_tools(raw: bytes) -> ResponseTools:
    """A leaf. The search of the web is left out, which clients offer to every model."""
    check_depth(raw)
    tools = ResponseTools()
    for index, item in enumerate(_elements(raw)):
        try:
            _add(tools, item)
        except gojson.DecodeError as error:
            raise gojson.DecodeError(f"tools[{index}]: {error}") from None
    return tools


def _elements(raw: bytes) -> list[bytes]:
    return at_most(TOOLS_MAX, "tools", gojson.array(raw, "[]openai.ResponsesTool"))


def _add(tools: ResponseTools, raw: bytes) -> None:
    given = _read(raw)
    type_ = given.get("type", "")
    if type_ == "namespace":
        for item in _elements(given.get("tools", b"[]")):
            _add_function(tools, _read(item), given.get("name", "") + ".")
    elif not type_.startswith("web_search"):
        _add_function(tools, given, "")


def _read(raw: bytes) -> dict[str, Any]:
    return gojson.decode(raw, "ResponsesTool", _TOOL, "openai")


def _add_function(tools: ResponseTools, given: Mapping[str, Any], prefix: str) -> None:
    if given.get("type") != "function":
        type_ = quote(given.get("type", ""))
        raise gojson.DecodeError(f"tools of the type {type_} are not supported")
    name, description = prefix + given.get("name", ""), given.get("description", "")
    try:
        schema = read_schema(given["parameters"]) if "parameters" in given else ""
    except gojson.DecodeError as error:
        raise gojson.DecodeError(f"invalid parameters for tool {quote(name)}: {error}") from None
    tools.functions.append(
        chat_pb2.Tool(name=name, description=description, parameters_json_schema=schema)
    )
    tools.told.append(
        {
            "type": "function",
            "name": name,
            "description": description,
            "strict": given.get("strict"),
            "parameters": msgspec.json.decode(schema) if schema else None,
        }
    )
