"""How much of a model's output is held back, and how much of it can become calls."""

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_OUTPUT_LIMITS", "OutputLimits"]


@dataclass(frozen=True)
class OutputLimits:
    """What is beyond a limit comes out as `Rejected`, which names the limit."""

    call_chars_max: int = 1024 * 1024
    """Characters held for one call. A longer one, and all the text after it, is no call."""

    calls_max: int = 128
    """Calls in one answer."""

    depth_max: int = 30
    """Brackets inside each other in the arguments of a call; deeper ones are malformed. They travel
    as a Struct, of which protobuf reads hardly more levels."""


DEFAULT_OUTPUT_LIMITS: Final = OutputLimits()
