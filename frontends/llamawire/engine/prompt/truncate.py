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

    Each question to `count` renders and tokenizes the whole prompt, so there are few: steps that
    double until one fits, then halves. That presumes that fewer messages never make more tokens;
    with a template where they do, what is found fits too, but something longer might have.
    """

    async def fits(start: int) -> bool:
        kept = _kept(messages, start)
        images = sum(len(message.images) for message in kept)
        return await count(kept) + images * TOKENS_PER_IMAGE <= tokens_max

    last = len(messages) - 1
    too_early, start = -1, 0  # The conversation from `too_early` on is known not to fit.
    while start < last and not await fits(start):
        too_early, start = start, min(max(2 * start, 1), last)
    while start - too_early > 1:
        middle = (too_early + start) // 2
        if await fits(middle):
            start = middle
        else:
            too_early = middle
    kept = _kept(messages, max(start, 0))
    return Truncated(kept, len(messages) - len(kept))


def _kept(messages: Sequence[Message], start: int) -> tuple[Message, ...]:
    system = [message for message in messages[:start] if message.role == "system"]
    return (*system, *messages[start:])
