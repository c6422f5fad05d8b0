"""What a model's output turns out to be, piece by piece.

Every character of the output is in the `text` of exactly one event, and the events come in the
order of the text: joined together they are the output again. A client is shown `Content`,
`Thinking` and `Call`; what else there is says why the rest of the text is not shown.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from llamawire.engine.prompt.messages import ToolCall

__all__ = ["Call", "Content", "Markup", "OutputEvent", "RejectReason", "Rejected", "Thinking"]

RejectReason: TypeAlias = Literal[
    "malformed",  # not what the format says that a call looks like
    "unknown_tool",  # a call of a tool that the request did not offer
    "incomplete",  # generation ended in the middle of it
    "call_chars_max",  # longer than OutputLimits.call_chars_max, with all that comes after it
    "calls_max",  # one call more than OutputLimits.calls_max
]


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of what the model thought before it answered."""

    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole call. `text` is what it was read from, from the end of the event before it."""

    call: ToolCall
    text: str


@dataclass(frozen=True, slots=True)
class Markup:
    """Tags, and the blank space around them: nothing that anybody has to see."""

    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Text that begins like a call and is none. Whoever wonders where a call went reads these."""

    text: str
    reason: RejectReason


OutputEvent: TypeAlias = Thinking | Content | Call | Markup | Rejected
