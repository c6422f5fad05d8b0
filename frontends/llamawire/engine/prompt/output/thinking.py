"""Thinking between tags.

    start ──opening tag──▶ thinking ──closing tag──▶ answer
      └─────────anything else───────────────────────▶ answer

A model thinks first or not at all: in the answer the tags are text like any other. Blank space
before and after the opening tag and after the closing one belongs to nobody. A prompt that ends
with the opening tag has already begun the thinking.
"""

from dataclasses import dataclass

from llamawire.engine.prompt.output.events import Content, Markup, Thinking
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["ThinkingTags", "read_thinking"]


@dataclass(frozen=True)
class ThinkingTags:
    """What a model puts around its thinking."""

    opening: str
    closing: str
    interrupting: tuple[str, ...] = ()
    """Tags of calls that end the thinking as well, for models that forget to close it."""


def read_thinking(source: Source, tags: ThinkingTags, *, can_call: bool) -> Reading[None]:
    """Reads the thinking, if there is any, up to the answer."""
    if not source.prompt_end.endswith(tags.opening):
        yield from source.whitespace()
        if not (yield from source.at(tags.opening)):
            source.release(Content)
            return
        source.take(len(tags.opening))
    source.is_thinking = True
    yield from source.whitespace()
    source.release(Markup)
    ends = Tags(tags.closing, *(tags.interrupting if can_call else ()))
    end = yield from source.until(ends, Thinking)
    source.is_thinking = False
    if end == tags.closing:
        source.take(len(end))
        yield from source.whitespace()
        source.release(Markup)
