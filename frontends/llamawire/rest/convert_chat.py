"""The body of /api/chat, and the message that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from llamawire.v1 import chat_pb2

from . import gojson
from .bodies import (
    COMMON,
    Body,
    common_fields,
    duration_message,
    format_message,
    logprobs_message,
    read_images,
)
from .reading import MESSAGES_MAX, at_most
from .tools import read_calls, tools_of

__all__ = ["ChatBody", "chat_request", "read_chat"]


@dataclass(frozen=True, kw_only=True)
class ChatBody(Body):
    """The body of /api/chat. None: not given."""

    route: ClassVar[str] = "chat"

    messages: list[chat_pb2.ChatMessage] = field(default_factory=list)
    tools: list[chat_pb2.Tool] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.messages

    @property
    def conflict(self) -> str | None:
        return None

    @property
    def wanted_capabilities(self) -> list[str]:
        wanted = {"thinking": self.wants_thinking, "completion": True, "tools": bool(self.tools)}
        return [capability for capability, is_wanted in wanted.items() if is_wanted]


_MESSAGE: Mapping[str, gojson.Leaf] = {
    "role": gojson.string,
    "content": gojson.string,
    "thinking": gojson.string,
    "images": read_images,
    "tool_calls": read_calls,
    "tool_name": gojson.string,
    "tool_call_id": gojson.string,
}


def _read_messages(raw: bytes) -> list[chat_pb2.ChatMessage]:
    found = gojson.array(raw, "[]api.Message")
    return [_read_message(item) for item in at_most(MESSAGES_MAX, "messages", found)]


def _read_message(raw: bytes) -> chat_pb2.ChatMessage:
    if raw == b"null":
        return chat_pb2.ChatMessage()
    try:
        # Go calls this type so, since a message decodes itself; which is also why the first message
        # with a mistake ends the decoding.
        given: dict[str, Any] = gojson.nested(raw, "api.Alias", _MESSAGE)
    except gojson.Postponed as error:
        raise gojson.DecodeError(error.message("ChatRequest", "messages")) from None
    return chat_pb2.ChatMessage(**given | {"role": given.get("role", "").lower()})


_OWN: Mapping[str, gojson.Leaf] = {"messages": _read_messages, "tools": tools_of("api.Tools")}
_CHAT = {**COMMON, **_OWN}


def read_chat(body: bytes) -> ChatBody:
    given: dict[str, Any] = gojson.decode(body, "ChatRequest", _CHAT)
    own = {key: given[key] for key in _OWN if key in given}
    return ChatBody(**common_fields(given), **own)


def chat_request(body: ChatBody, name: str) -> chat_pb2.ChatRequest:
    """`name` is the model's name as the engine knows it, without spaces and source suffix."""
    return chat_pb2.ChatRequest(
        model=name,
        messages=body.messages,
        tools=body.tools,
        format=format_message(body.format),
        options=body.options.options,
        keep_alive=duration_message(body.keep_alive_ns),
        truncate=body.truncate,
        shift=body.shift,
        think=body.think,
        logprobs=logprobs_message(body),
        timeout=duration_message(body.timeout_ns),
        priority=body.priority,
        user=body.user,
    )
