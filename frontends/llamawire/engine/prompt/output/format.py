"""A way of writing answers that a family of models was taught."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from llamawire.engine.prompt.messages import UNSET, ThinkLevel, ThinkValue, Tool
from llamawire.engine.prompt.output.budget import ThinkingBudget
from llamawire.engine.prompt.output.calls import Calls, new_call_id
from llamawire.engine.prompt.output.events import Content
from llamawire.engine.prompt.output.limits import DEFAULT_OUTPUT_LIMITS, OutputLimits
from llamawire.engine.prompt.output.marks import marks_in
from llamawire.engine.prompt.output.parser import OutputParser
from llamawire.engine.prompt.output.source import HeldTooLong, Reading, Source
from llamawire.engine.prompt.output.thinking import ThinkingTags, read_thinking

__all__ = ["AnswerReader", "OutputFormat"]

AnswerReader: TypeAlias = Callable[[Source, Calls], Reading[None]]
"""Reads the answer after the thinking; what it leaves is content."""


@dataclass(frozen=True)
class OutputFormat:
    """How a model writes thinking and calls. One format serves any number of answers."""

    name: str
    read_answer: AnswerReader = field(repr=False)
    thinking: ThinkingTags | None = None
    think_levels: tuple[ThinkLevel, ...] = ()
    """The levels that the model was taught, the highest last. Of other models the template decides
    what it makes of a level."""

    thinking_end: str = ""
    """What ends the thinking when somebody else has to end it."""

    has_channels: bool = False
    """Everything is framed, so it must be read even without tools and without thinking."""

    channel_of_thinking: ThinkingTags | None = None
    """Where thinking is a channel: what stands around it."""

    tags: tuple[str, ...] = ()
    """The tags that calls, or all of the answer, are written with."""

    def parser(
        self,
        *,
        tools: Sequence[Tool] = (),
        think: ThinkValue = UNSET,
        prompt: str = "",
        is_formed: bool = False,
        limits: OutputLimits = DEFAULT_OUTPUT_LIMITS,
        new_id: Callable[[], str] = new_call_id,
    ) -> OutputParser:
        """For the answer to that prompt. Without tools there are no calls; with `think` False the
        tags of thinking are content. `is_formed`: a form holds for the content."""
        source = Source(prompt, limits, is_formed=is_formed)
        calls = Calls(source, tools, new_id)
        return OutputParser(source, self._read(source, calls, is_thinking=think is not False))

    def marks(self, *, has_tools: bool, think: ThinkValue) -> tuple[str, ...]:
        """What such a parser has to be told of where it is written with control tokens."""
        texts = list(self.tags) if has_tools or self.has_channels else []
        if self.thinking and think is not False:
            texts += [self.thinking.opening, self.thinking.closing]
        return marks_in(*texts)

    def budget(self, tokens_max: int, *, prompt: str, has_tools: bool) -> ThinkingBudget | None:
        """A limit of the thinking in the answer to that prompt; None for a format without any."""
        tags = self.thinking or self.channel_of_thinking
        if tags is None:
            return None
        interrupting = tags.interrupting if has_tools or self.has_channels else ()
        return ThinkingBudget(
            tokens_max=tokens_max,
            opening=tags.opening,
            closings=(tags.closing, *interrupting),
            is_open=prompt.rstrip().endswith(tags.opening),
            reopens=self.has_channels,
            ending=self.thinking_end,
        )

    def with_thinking(self, opening: str, closing: str) -> "OutputFormat":
        """The format with other tags around the thinking."""
        interrupting = self.thinking.interrupting if self.thinking else ()
        tags = ThinkingTags(opening, closing, interrupting)
        return replace(self, thinking=tags, thinking_end=f"\n{closing}\n\n")

    def without_thinking(self) -> "OutputFormat":
        """The format for a model that does not think."""
        return replace(self, thinking=None, thinking_end="")

    def rendered_think(self, think: ThinkValue) -> ThinkValue:
        """What to render the prompt with: of a model with levels, one that it does not know becomes
        the highest that it does."""
        is_unknown = isinstance(think, str) and think not in self.think_levels
        return self.think_levels[-1] if self.think_levels and is_unknown else think

    def _read(self, source: Source, calls: Calls, *, is_thinking: bool) -> Reading[None]:
        try:
            if self.thinking and is_thinking:
                yield from read_thinking(source, self.thinking, can_call=bool(calls.tools))
            if calls.tools or self.has_channels:
                yield from self.read_answer(source, calls)
            source.release(Content)
            yield from source.rest(Content)
        except HeldTooLong:
            source.reject("call_chars_max")
            yield from source.rejected_rest("call_chars_max")
