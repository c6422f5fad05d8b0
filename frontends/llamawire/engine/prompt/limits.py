"""What a template may cost.

Templates come with models, and models come from strangers: a template must not be able to hang the
daemon or to eat its memory. So everything that a template can do is paid for out of a `Budget`,
which counts steps and text rather than seconds: the same template on the same messages either
always fits or never does, however busy the machine is.
"""

from dataclasses import dataclass
from typing import Final

from llamawire.engine.prompt.errors import TemplateExecutionError, TemplateSyntaxError

__all__ = ["DEFAULT_LIMITS", "Budget", "Limits"]

# Reading this many characters costs one step, so that no step can be made to take long.
CHARS_PER_STEP: Final = 1024

# Putting a text together out of values is slower.
COMPOSED_CHARS_PER_STEP: Final = 8


@dataclass(frozen=True)
class Limits:
    """How large a template may be, and how much one execution of it may do."""

    source_chars_max: int = 64 * 1024
    """Characters of the template itself; the longest in use have about 20,000. Reading this many
    takes a second."""

    text_chars_max: int = 32 * 1024 * 1024
    """Characters that one execution may make: its output and every string on the way to it."""

    steps_max: int = 250_000
    """Nodes, calls and iterations of one prompt: less than a second."""

    steps_per_message: int = 100
    """What each message of the conversation adds to them: the time grows with what was sent."""

    depth_max: int = 64
    """Blocks, parentheses and templates inside each other."""


DEFAULT_LIMITS: Final = Limits()


class Budget:
    """What the rendering of one prompt may still spend; belongs to that rendering alone.

    `messages` is how many there are.
    """

    __slots__ = ("_limits", "_steps", "_steps_max", "_text_chars")

    def __init__(self, limits: Limits, messages: int = 0) -> None:
        self._limits = limits
        self._steps = self._steps_max = limits.steps_max + messages * limits.steps_per_message
        self._text_chars = limits.text_chars_max

    def step(self, count: int = 1) -> None:
        """Pays for `count` steps."""
        self._steps -= count
        if self._steps < 0:
            raise _too_much("steps_max", self._steps_max)

    def read(self, chars: int) -> None:
        """Pays for going over `chars` characters, or as many elements, once."""
        self.step(chars // CHARS_PER_STEP)

    def make(self, chars: int) -> None:
        """Pays for a new string of `chars` characters. Call it before making a large one."""
        self.step(chars // CHARS_PER_STEP)
        self._text_chars -= chars
        if self._text_chars < 0:
            raise _too_much("text_chars_max", self._limits.text_chars_max)

    def compose(self, chars: int) -> None:
        """Pays for a string of `chars` characters that was put together out of values."""
        self.step(chars // COMPOSED_CHARS_PER_STEP)
        self.make(chars)


def check_source(text: str, limits: Limits) -> None:
    """Refuses a template that is too long to be one."""
    if len(text) > limits.source_chars_max:
        maximum = limits.source_chars_max
        raise TemplateSyntaxError(
            f"template: {len(text)} characters are more than source_chars_max ({maximum})"
        )


def _too_much(name: str, maximum: int) -> TemplateExecutionError:
    return TemplateExecutionError(f"template: execution needs more than {name} ({maximum})")
