"""`input`: a text, or items that become messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from llamawire.v1 import chat_pb2

from ... import gojson
from ...gotext import quote
from ...reading import MESSAGES_MAX, at_most
from ...tools import read_arguments
from ..messages import read_image_url

__all__ = ["read_input"]


@dataclass(frozen=True)
class _Item:
    """Which fields mean something depends on the type."""

    type: str = ""
    role: str = ""
    content: bytes = b"null"
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: bytes = b"null"
    encrypted_content: str = ""


_ITEM: Mapping[str, gojson.Leaf] = {
    "type": gojson.string,
    "role": gojson.string,
    "content": gojson.raw_text,
    "call_id": gojson.string,
    "name": gojson.string,
    "arguments": gojson.string,
    "output": gojson.raw_text,
    "encrypted_content": gojson.string,
}
_PART: Mapping[str, gojson.Leaf] = {
    "type": gojson.string,
    "text": gojson.string,
    "image_url": gojson.string,
}


def read_input(raw: bytes) -> list[chat_pb2.ChatMessage]:
    """A leaf. Raises DecodeError with the place of what cannot be read."""
    if gojson.kind(raw) == "string":
        text = gojson.string(raw)
        return [chat_pb2.ChatMessage(role="user", content=text)] if text else []
    if gojson.kind(raw) != "array":
        raise gojson.DecodeError(
            "input must be a string or array: json: cannot unmarshal "
            f"{gojson.kind(raw)} into Go value of type []json.RawMessage"
        )
    conversation = _Conversation()
    for index, item in enumerate(at_most(MESSAGES_MAX, "input", gojson.elements(raw))):
        try:
            conversation.add(_read_item(item))
        except gojson.DecodeError as error:
            raise gojson.DecodeError(f"input[{index}]: {error}") from None
    return conversation.messages


def _read_item(raw: bytes) -> _Item:
    given: dict[str, Any] = gojson.decode(raw, "ResponsesInputItem", _ITEM, "openai")
    return _Item(**given)


class _Conversation:
    """Takes items one by one; `messages` is what they have said."""

    def __init__(self) -> None:
        self.messages: list[chat_pb2.ChatMessage] = []
        # What the next message of the assistant was thought before.
        self._thinking = ""
        # Names of tools by the ids of their calls.
        self._names: dict[str, str] = {}
        self._takers: Mapping[str, Callable[[_Item], None]] = {
            "message": self._message,
            "function_call": self._call,
            "function_call_output": self._output,
            "reasoning": self._reasoning,
            "web_search_call": self._ignored,
        }

    def add(self, item: _Item) -> None:
        type_ = item.type or ("message" if item.role else "")
        if not type_:
            raise gojson.DecodeError("input item missing required 'type' field")
        if type_ not in self._takers:
            raise gojson.DecodeError(f"unknown input item type: {quote(type_)}")
        self._takers[type_](item)

    def _message(self, item: _Item) -> None:
        text, images = _read_content(item.content)
        message = chat_pb2.ChatMessage(role=item.role.lower(), content=text, images=images)
        if message.role == "assistant":
            message.thinking = self._take_thinking()
        self.messages.append(message)

    def _call(self, item: _Item) -> None:
        """Calls join the assistant's message that they follow."""
        if not self.messages or self.messages[-1].role != "assistant":
            self.messages.append(chat_pb2.ChatMessage(role="assistant"))
        message = self.messages[-1]
        message.thinking += self._take_thinking()
        index = len(message.tool_calls)
        arguments = _read_arguments(item.arguments)
        message.tool_calls.add(id=item.call_id, index=index, name=item.name, arguments=arguments)
        self._names[item.call_id] = item.name

    def _output(self, item: _Item) -> None:
        text, images = _read_content(item.output)
        message = chat_pb2.ChatMessage(role="tool", content=text, images=images)
        message.tool_name = self._names.get(item.call_id, "")
        message.tool_call_id = item.call_id
        self.messages.append(message)

    def _reasoning(self, item: _Item) -> None:
        self._thinking += item.encrypted_content

    def _ignored(self, item: _Item) -> None:
        pass

    def _take_thinking(self) -> str:
        thinking, self._thinking = self._thinking, ""
        return thinking


def _read_arguments(text: str) -> struct_pb2.Struct:
    try:
        raw = text.strip().encode()
        if not raw:
            raise gojson.DecodeError("unexpected end of JSON input")
        # Go's words for what is no JSON; whatever follows the object is refused below.
        gojson.decode(raw, "ToolCallFunctionArguments", {})
        return read_arguments(raw)
    except gojson.DecodeError as error:
        raise gojson.DecodeError(f"failed to parse function call arguments: {error}") from None


def _read_content(raw: bytes) -> tuple[str, list[bytes]]:
    """A text or a list of parts: the text of all of them, and their pictures."""
    if gojson.kind(raw) == "string":
        return gojson.string(raw), []
    if raw == b"null":
        return "", []
    if gojson.kind(raw) != "array":
        raise gojson.DecodeError(f"content must be a string or array, not {gojson.kind(raw)}")
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(at_most(MESSAGES_MAX, "content", gojson.elements(raw))):
        try:
            _read_part(part, texts, images)
        except gojson.DecodeError as error:
            raise gojson.DecodeError(f"content[{index}]: {error}") from None
    return "".join(texts), images


def _read_part(raw: bytes, texts: list[str], images: list[bytes]) -> None:
    given: dict[str, Any] = gojson.decode(raw, "ResponsesContent", _PART, "openai")
    type_ = given.get("type", "")
    if type_ in ("input_text", "output_text"):
        texts.append(given.get("text", ""))
    elif type_ == "input_image":
        if not given.get("image_url"):
            raise gojson.DecodeError("image_url is required: files are not kept here")
        images.append(read_image_url(given["image_url"]))
    elif type_ == "input_file":
        raise gojson.DecodeError("file inputs are not currently supported")
    else:
        raise gojson.DecodeError(f"unknown content type: {quote(type_)}")
