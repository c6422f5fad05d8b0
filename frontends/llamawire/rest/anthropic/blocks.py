"""Messages as Anthropic has them, lists of blocks, made into the engine's.

The text of a message is that of all its text blocks; results of tools become messages of their own.
Blocks of unknown types are left out, as upstream does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamawire.v1 import chat_pb2

from .. import gojson
from ..dialect import go_type
from ..images import read_image
from ..reading import MESSAGES_MAX, at_most
from ..structs import struct_of

__all__ = [
    "Block",
    "chat_messages",
    "plain_blocks_of",
    "read_messages",
    "text_of",
]


@dataclass(frozen=True)
class Block:
    """A part of a message; which fields mean something depends on its type."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    source: bytes = b"null"
    id: str = ""
    name: str = ""
    input: bytes = b"{}"
    tool_use_id: str = ""
    content: Sequence[Block] = ()


@dataclass(frozen=True)
class AnthropicMessage:
    """A message whose blocks have not been looked at yet; None: its content was a text."""

    role: str = ""
    content: Sequence[Block] | None = None
    text: str = ""


_INPUT = struct_of("input")


# ---- as Go reads them ----------------------------------------------------------------------------


def read_messages(raw: bytes) -> list[AnthropicMessage]:
    """A leaf for `messages`."""
    found = at_most(MESSAGES_MAX, "messages", gojson.array(raw, "[]anthropic.MessageParam"))
    return [_read_message(index, item) for index, item in enumerate(found)]


def _read_message(index: int, raw: bytes) -> AnthropicMessage:
    leaves = {"role": gojson.string, "content": gojson.raw_text}
    given: dict[str, Any] = {}
    if raw != b"null":
        given = gojson.nested(raw, "anthropic.MessageParam", leaves, "MessageParam")
    role, content = given.get("role", ""), given.get("content", b"null")
    if gojson.kind(content) == "string":
        return AnthropicMessage(role, None, gojson.string(content))
    if gojson.kind(content) != "array":
        raise gojson.DecodeError(f"messages[{index}]: invalid content type: {go_type(content)}")
    found = at_most(MESSAGES_MAX, "content", gojson.elements(content))
    return AnthropicMessage(role, [_read_block(item, _BLOCK) for item in found])


def plain_blocks_of(field: str) -> Callable[[bytes], list[Block]]:
    """A leaf for `field`: a text, or a list of blocks that have no content of their own."""

    def leaf(raw: bytes) -> list[Block]:
        if gojson.kind(raw) == "string":
            return [Block(type="text", text=gojson.string(raw))]
        if gojson.kind(raw) != "array":
            raise gojson.DecodeError(f"invalid type of {field}: {go_type(raw)}")
        found = at_most(MESSAGES_MAX, field, gojson.elements(raw))
        return [_read_block(item, _PLAIN) for item in found]

    return leaf


def _read_block(raw: bytes, leaves: Mapping[str, gojson.Leaf]) -> Block:
    if raw == b"null":
        return Block()
    given: dict[str, Any] = gojson.nested(raw, "anthropic.ContentBlock", leaves, "ContentBlock")
    return Block(**given)


_PLAIN: Mapping[str, gojson.Leaf] = {
    "type": gojson.string,
    "text": gojson.string,
    "source": gojson.raw_text,
}
_BLOCK: Mapping[str, gojson.Leaf] = {
    **_PLAIN,
    "thinking": gojson.string,
    "id": gojson.string,
    "name": gojson.string,
    "input": gojson.raw_text,
    "tool_use_id": gojson.string,
    "content": plain_blocks_of("content"),
}


# ---- as the engine wants them --------------------------------------------------------------------


def chat_messages(found: Sequence[AnthropicMessage]) -> list[chat_pb2.ChatMessage]:
    """Raises DecodeError for a block that cannot be one."""
    names: dict[str, str] = {}
    return [one for message in found for one in _chat_messages(message, names)]


def _chat_messages(message: AnthropicMessage, names: dict[str, str]) -> list[chat_pb2.ChatMessage]:
    """`names` are the tools' by the ids of their calls, as far as there were any."""
    role = message.role.lower()
    if message.content is None:
        return [chat_pb2.ChatMessage(role=role, content=message.text)]
    blocks = message.content
    calls = [_call(block) for block in blocks if block.type == "tool_use"]
    for index, call in enumerate(calls):
        call.index = index
        names[call.id] = call.name
    own = chat_pb2.ChatMessage(
        role=role,
        content=text_of(blocks),
        thinking="".join(block.thinking for block in blocks if block.type == "thinking"),
        images=_images(blocks),
        tool_calls=calls,
    )
    results = [_result(block, names) for block in blocks if block.type == "tool_result"]
    has_own = own.content or own.thinking or own.images or own.tool_calls
    owns = [own] if has_own else []
    # What a user says follows the results that came with it.
    return [*results, *owns] if role == "user" else [*owns, *results]


def text_of(blocks: Sequence[Block]) -> str:
    return "".join(block.text for block in blocks if block.type == "text")


def _result(block: Block, names: Mapping[str, str]) -> chat_pb2.ChatMessage:
    return chat_pb2.ChatMessage(
        role="tool",
        content=text_of(block.content),
        images=_images(block.content),
        tool_name=names.get(block.tool_use_id, ""),
        tool_call_id=block.tool_use_id,
    )


def _call(block: Block) -> chat_pb2.ToolCall:
    for field in ("id", "name"):
        if not getattr(block, field):
            raise gojson.DecodeError(f"tool_use block missing required '{field}' field")
    if gojson.kind(block.input) != "object":
        raise gojson.DecodeError(f"tool_use block: 'input' is no object: {go_type(block.input)}")
    return chat_pb2.ToolCall(id=block.id, name=block.name, arguments=_INPUT(block.input))


def _images(blocks: Sequence[Block]) -> list[bytes]:
    return [_image(block.source) for block in blocks if block.type == "image"]


def _image(raw: bytes) -> bytes:
    if gojson.kind(raw) != "object":
        raise gojson.DecodeError("invalid image source")
    source = dict(gojson.members(raw))
    type_, data = (_text(source.get(key, b'""')) for key in ("type", "data"))
    if type_ != "base64":
        raise gojson.DecodeError(
            f"invalid image source type: {type_}. Only base64 images are supported."
        )
    if not data:
        raise gojson.DecodeError("invalid image source")
    try:
        return read_image(source["data"])
    except gojson.Postponed as error:
        raise gojson.DecodeError(f"invalid base64 image data: {error}") from None


def _text(raw: bytes) -> str:
    return gojson.string(raw) if gojson.kind(raw) == "string" else ""
