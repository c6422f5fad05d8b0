"""Shortens a conversation that does not fit: the oldest messages go first.

System messages are never dropped: those of the part that goes move to the front of the part that
stays. Nor is the last message, even if it alone is too long.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from llamawire.engine.prompt.messages import Message

__all__ = ["TOKENS_PER_IMAGE", "CountTokens", "Truncated", "truncate"]

TOKENS_PER_IMAGE: Final = 768
"""What an image is counted as before it has been encoded."""

CountTokens: TypeAlias = Callable[[Sequence[Message]], Awaitable[int]]
"""The number of tokens of the rendered messages, without their images."""


@dataclass(frozen=True)
class Truncated:
    """What is left of a conversation."""

    messages: tuple[Message, ...]
    dropped: int
    """How many messages are gone."""


async def truncate(messages: Sequence[Message], tokens_max: int, count: CountTokens) -> Truncated:
    """The longest end of the conversation that has at most `tokens_max` tokens.

    Each question to `count` renders and tokenizes a prompt, so there are few, and most are about
    prompts of the length that is looked for: the first guess comes from the lengths of the texts.
    That presumes that fewer messages never make more tokens; with a template where they do, what is
    found fits too, but something longer might have.
    """

    async def tokens(start: int) -> int:
        kept = _kept(messages, start)
        images = sum(len(message.images) for message in kept)
        return await count(kept) + images * TOKENS_PER_IMAGE

    last = len(messages) - 1
    total = await tokens(0) if last > 0 else 0
    if total <= tokens_max:
        return Truncated(tuple(messages), 0)
    # The conversation from `too_early` on is known not to fit; that from `start` on does, or is all
    # that there may be. Steps that double bring the two together around the guess, then halves.
    too_early, start = 0, last
    probe, step = _guess(messages, total, tokens_max), 1
    while start - too_early > 1:
        if await tokens(probe) <= tokens_max:
            start, probe = probe, probe - step
        else:
            too_early, probe = probe, probe + step
        step *= 2
        if not too_early < probe < start:
            probe = (too_early + start) // 2
    kept = _kept(messages, start)
    return Truncated(kept, len(messages) - len(kept))


def _guess(messages: Sequence[Message], tokens: int, tokens_max: int) -> int:
    """Where the kept part may begin, if all messages have as many tokens for their length."""
    weights = [_weight(message) for message in messages]
    room = sum(weights) * tokens_max // tokens
    room -= sum(
        weight
        for message, weight in zip(messages, weights, strict=True)
        if message.role == "system"
    )
    start = len(messages)
    while start > 1 and room > 0:
        start -= 1
        room -= 0 if messages[start].role == "system" else weights[start]
    return max(1, min(start, len(messages) - 2))


def _weight(message: Message) -> int:
    """Some measure of its length in the prompt."""
    calls = sum(len(str(call.arguments)) for call in message.tool_calls)
    return 16 + len(message.content) + len(message.thinking) + calls + 2000 * len(message.images)


def _kept(messages: Sequence[Message], start: int) -> tuple[Message, ...]:
    system = [message for message in messages[:start] if message.role == "system"]
    return (*system, *messages[start:])
