"""Example messages that a model carries along, and how its layer has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llamawire.engine.store import gojson
from llamawire.engine.store.errors import CorruptManifest
from llamawire.engine.store.manifest import parse_json

__all__ = ["Message", "decode_messages", "encode_messages"]


@dataclass(frozen=True)
class Message:
    """One turn. `images` are base64 text and `tool_calls` JSON objects, kept as they came."""

    role: str
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[object, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""

    def fields(self) -> dict[str, object]:
        """As JSON has it, in its order."""
        optional: dict[str, object] = {
            "thinking": self.thinking,
            "images": self.images,
            "tool_calls": self.tool_calls,
            "tool_name": self.tool_name,
            "tool_call_id": self.tool_call_id,
        }
        present = {key: value for key, value in optional.items() if value}
        return {"role": self.role.lower(), "content": self.content, **present}


def encode_messages(messages: Sequence[Message]) -> bytes:
    return gojson.encode([message.fields() for message in messages])


def decode_messages(data: bytes) -> tuple[Message, ...]:
    """The messages of a layer. Raises CorruptManifest."""
    items = parse_json(data)
    if not isinstance(items, list):
        raise CorruptManifest("the messages are not a list")
    return tuple(_decode_message(item) for item in items)


def _decode_message(item: object) -> Message:
    if not isinstance(item, dict):
        raise CorruptManifest("a message is not a JSON object")
    texts = {key: item.get(key) or "" for key in ("role", "content", "thinking", "tool_name")}
    texts["tool_call_id"] = item.get("tool_call_id") or ""
    images, calls = item.get("images") or [], item.get("tool_calls") or []
    if not all(isinstance(text, str) for text in texts.values()):
        raise CorruptManifest("a field of a message is not a string")
    if not isinstance(images, list) or not isinstance(calls, list):
        raise CorruptManifest("the images or tool calls of a message are not a list")
    return Message(images=tuple(images), tool_calls=tuple(calls), **texts)
