"""The conversation behind a request to chat: the model's own messages and the request's."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from llamawire.engine.prompt.messages import Message

__all__ = ["chat_messages", "without_old_thinking"]

_THINKING: Final = re.compile(r"<think>.*?</think>", re.DOTALL)


def chat_messages(
    messages: Sequence[Message],
    *,
    model_system: str = "",
    model_messages: Sequence[Message] = (),
) -> list[Message]:
    """A request that begins with a system message does without the model's, but not without the
    rest of the model's messages."""
    brings_system = bool(messages) and messages[0].role == "system"
    return [
        *([Message("system", model_system)] if model_system and not brings_system else []),
        *model_messages,
        *messages,
    ]


def without_old_thinking(messages: Sequence[Message]) -> list[Message]:
    """For models that were not taught to see what they thought in earlier turns: cuts a leading
    `<think>…</think>` off the assistant's messages before the user's last."""
    last_user = max(
        (index for index, message in enumerate(messages) if message.role == "user"), default=-1
    )
    return [
        _without_thinking(message) if index < last_user else message
        for index, message in enumerate(messages)
    ]


def _without_thinking(message: Message) -> Message:
    if message.role != "assistant":
        return message
    match = _THINKING.match(message.content)
    return replace(message, content=message.content[match.end() :].lstrip()) if match else message
