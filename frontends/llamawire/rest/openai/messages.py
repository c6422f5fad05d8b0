"""Messages as OpenAI has them, made into the engine's.

A message whose content is a list of parts becomes as many messages; the templates join them again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from llamawire.v1 import chat_pb2

from .. import gojson
from ..dialect import go_type
from ..images import read_image
from ..reading import MESSAGES_MAX, TOOLS_MAX, at_most
from ..structs import TooDeep
from ..tools import read_arguments

__all__ = ["OpenAIMessage", "chat_messages", "read_image_url", "read_messages"]

_CALLED_TYPE = r'struct { Name string "json:\"name\""; Arguments string "json:\"arguments\"" }'
_IMAGE_TYPES = ("jpeg", "jpg", "png", "webp")
_IMAGE_HEADS = ("data:;base64,", *(f"data:image/{type_};base64," for type_ in _IMAGE_TYPES))


@dataclass(frozen=True)
class OpenAIMessage:
    """A message of which the content has not been looked at yet."""

    role: str = ""
    content: bytes = b"null"
    reasoning: str = ""
    tool_calls: Sequence[tuple[str, str, str]] | None = None
    name: str = ""
    tool_call_id: str = ""


# ---- as Go reads them ----------------------------------------------------------------------------


def read_messages(raw: bytes) -> list[OpenAIMessage]:
    """A leaf for `messages`."""
    found = at_most(MESSAGES_MAX, "messages", gojson.array(raw, "[]openai.Message"))
    return [OpenAIMessage() if item == b"null" else _read_message(item) for item in found]


def _read_message(raw: bytes) -> OpenAIMessage:
    given: dict[str, Any] = gojson.nested(raw, "openai.Message", _MESSAGE, "Message")
    return OpenAIMessage(**given)


def _read_calls(raw: bytes) -> list[tuple[str, str, str]]:
    found = at_most(TOOLS_MAX, "tool_calls", gojson.array(raw, "[]openai.ToolCall"))
    return [("", "", "") if item == b"null" else _read_call(item) for item in found]


def _read_call(raw: bytes) -> tuple[str, str, str]:
    """Id, name and arguments."""
    given: dict[str, Any] = gojson.nested(raw, "openai.ToolCall", _CALL, "ToolCall")
    name, arguments = given.get("function", ("", ""))
    return given.get("id", ""), name, arguments


def _read_called(raw: bytes) -> tuple[str, str]:
    leaves = {"name": gojson.string, "arguments": gojson.string}
    given: dict[str, Any] = gojson.nested(raw, _CALLED_TYPE, leaves, "")
    return given.get("name", ""), given.get("arguments", "")


_CALL: Mapping[str, gojson.Leaf] = {
    "id": gojson.string,
    "index": gojson.integer,
    "type": gojson.string,
    "function": _read_called,
}
_MESSAGE: Mapping[str, gojson.Leaf] = {
    "role": gojson.string,
    "content": gojson.raw_text,
    "reasoning": gojson.string,
    "tool_calls": _read_calls,
    "name": gojson.string,
    "tool_call_id": gojson.string,
}


# ---- as the engine wants them --------------------------------------------------------------------


def chat_messages(found: Sequence[OpenAIMessage]) -> list[chat_pb2.ChatMessage]:
    """Raises DecodeError for a content that cannot be one."""
    names: dict[str, str] = {}
    messages: list[chat_pb2.ChatMessage] = []
    for message in found:
        calls = [_call(index, *call) for index, call in enumerate(message.tool_calls or ())]
        names.update((call.id, call.name) for call in calls)
        *before, last = _contents(message)
        last.thinking = message.reasoning
        last.tool_calls.extend(calls)
        last.tool_name = message.name or names.get(message.tool_call_id, "")
        last.tool_call_id = message.tool_call_id
        messages += [*before, last]
    return messages


def _call(index: int, id_: str, name: str, arguments: str) -> chat_pb2.ToolCall:
    return chat_pb2.ToolCall(id=id_, index=index, name=name, arguments=_arguments(arguments))


def _arguments(text: str) -> struct_pb2.Struct:
    try:
        return read_arguments(text.strip().encode() or b"null")
    except TooDeep:
        raise
    except gojson.DecodeError:
        raise gojson.DecodeError("invalid tool call arguments") from None


def _contents(message: OpenAIMessage) -> list[chat_pb2.ChatMessage]:
    """At least one message with this role."""
    role, kind = message.role.lower(), gojson.kind(message.content)
    if kind == "string":
        return [chat_pb2.ChatMessage(role=role, content=gojson.string(message.content))]
    if kind == "array":
        parts = at_most(MESSAGES_MAX, "content", gojson.elements(message.content))
        return [_part(role, part) for part in parts] or [chat_pb2.ChatMessage(role=role)]
    if kind == "null" and message.tool_calls is not None:
        return [chat_pb2.ChatMessage(role=role)]
    raise gojson.DecodeError(f"invalid message content type: {go_type(message.content)}")


def _part(role: str, raw: bytes) -> chat_pb2.ChatMessage:
    part = dict(gojson.members(raw)) if gojson.kind(raw) == "object" else {}
    type_ = _text(part.get("type"))
    if type_ == "text":
        return chat_pb2.ChatMessage(role=role, content=_expected(_text(part.get("text"))))
    if type_ == "image_url":
        return chat_pb2.ChatMessage(role=role, images=[_image(part.get("image_url", b"null"))])
    if type_ == "input_audio":
        return chat_pb2.ChatMessage(role=role, images=[_audio(part.get("input_audio", b"null"))])
    raise gojson.DecodeError("invalid message format")


def _text(raw: bytes | None) -> str | None:
    return gojson.string(raw) if raw and gojson.kind(raw) == "string" else None


def _expected(text: str | None) -> str:
    if text is None:
        raise gojson.DecodeError("invalid message format")
    return text


def _image(raw: bytes) -> bytes:
    inner = dict(gojson.members(raw)).get("url") if gojson.kind(raw) == "object" else raw
    return read_image_url(_expected(_text(inner)))


def read_image_url(url: str) -> bytes:
    """The picture in a data URL; DecodeError for any other."""
    if url.startswith(("http://", "https://")):
        raise gojson.DecodeError(
            "image URLs are not currently supported, please use base64 encoded data instead"
        )
    for head in _IMAGE_HEADS:
        if url.startswith(head):
            break
    else:
        raise gojson.DecodeError("invalid image input")
    try:
        return base64.b64decode(url[len(head) :].translate({10: None, 13: None}), validate=True)
    except (binascii.Error, ValueError):
        raise gojson.DecodeError("invalid image input") from None


def _audio(raw: bytes) -> bytes:
    if gojson.kind(raw) != "object":
        raise gojson.DecodeError("invalid input_audio format")
    data = dict(gojson.members(raw)).get("data", b"null")
    if gojson.kind(data) != "string" or data == b'""':
        raise gojson.DecodeError("invalid input_audio format: missing data")
    try:
        return read_image(data)
    except gojson.Postponed as error:
        raise gojson.DecodeError(f"invalid input_audio base64 data: {error}") from None
