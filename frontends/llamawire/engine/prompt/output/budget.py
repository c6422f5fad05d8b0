"""How long a model may think. The decode loop counts (csrc/llamawire/thinking.h)."""

from dataclasses import dataclass

__all__ = ["ThinkingBudget"]


@dataclass(frozen=True, slots=True)
class ThinkingBudget:
    """When `tokens_max` tokens came between the tags, the model is made to say `ending`."""

    tokens_max: int
    opening: str
    closings: tuple[str, ...]
    is_open: bool
    """The prompt has begun the thinking."""
    reopens: bool
    """It may begin anywhere, again and again; otherwise only in front."""
    ending: str
