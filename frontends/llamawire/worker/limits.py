"""What to do with a prompt that is longer than the context: cut its middle, or refuse it.

The rule is Ollama's: the first K tokens stay (K = num_keep, and BOS), then the newest, so that half
of the rest of the context is free for the answer. Nothing is cut silently: the caller is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llamawire.worker.prompt import PlacedImage

__all__ = ["FittedPrompt", "PromptTooLong", "fit_prompt"]

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """`tokens` is what the model sees; received = len(tokens) + dropped."""

    tokens: Ids
    received_count: int
    dropped_count: int
    images: tuple[PlacedImage, ...] = ()


class PromptTooLong(Exception):
    """More tokens than the context holds, and cutting was ruled out."""

    def __init__(self, received: int, num_ctx: int, *, shift: bool) -> None:
        self.metadata = {
            "received": str(received),
            "limit": str(num_ctx - 1),
            "shift": str(shift).lower(),
        }
        super().__init__(
            f"the prompt has {received} tokens, which exceeds the available context size of "
            f"{num_ctx} tokens (num_ctx) less one for the answer"
        )


def fit_prompt(
    tokens: Ids, *, num_ctx: int, num_keep: int, adds_bos: bool, truncate: bool, shift: bool
) -> FittedPrompt:
    """Cuts `tokens` (shape [n]) to the context of `num_ctx` tokens, or raises PromptTooLong."""
    received = len(tokens)
    if received <= num_ctx - 1:
        return FittedPrompt(tokens, received, 0)
    if not (truncate and shift):
        raise PromptTooLong(received, num_ctx, shift=shift)
    front = received if num_keep < 0 else num_keep + adds_bos
    front = min(front, num_ctx - 1)
    total = num_ctx - max((num_ctx - front) // 2, 1)
    newest = tokens[received - (total - front) :]
    kept = np.concatenate([tokens[:front], newest]) if total > front else tokens[:front]
    return FittedPrompt(kept, received, received - len(kept))
