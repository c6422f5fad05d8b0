"""How the eyes learn to see before they learn to talk: three questions that need no language.

Where the shape is, which one it is, which colour it has. The layers that answer are thrown away.
"Where" is asked of the blocks below the last: it makes the others quick, as the outline of a shape
tells which one it is whatever its colour. "Which shape" is asked of colours without a name only.
Else the eyes learn pairs, and a pair that was never drawn is nothing to them.
"""

from __future__ import annotations

from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from drawing import COLOURS, SHAPES, Drawing, Grid, cover, draw
from eyes import Eyes, as_tensor, framed
from pictures import training_drawing
from torch import Tensor, nn

NAMELESS, NAMED = 48, 32
"""Drawings of a step."""
OUTLINE = 6
"""Squares across a patch for which "where" is asked."""
OUTLINE_WEIGHT = 4.0
NARROWEST = 0.6
"""Of the shorter side of a picture to the longer."""


class Looking(nn.Module):
    """Eyes with the layers that answer."""

    def __init__(self, eyes: Eyes) -> None:
        super().__init__()
        self.eyes = eyes
        self.shape = nn.Linear(eyes.sight.width, len(SHAPES))
        self.colour = nn.Linear(eyes.sight.width, len(COLOURS))
        self.outline = nn.Linear(eyes.sight.width, OUTLINE**2)

    def loss(self, rng: Random) -> Tensor:
        """That of one step on new drawings."""
        drawings = [training_drawing(rng, "") for _ in range(NAMELESS)]
        drawings += [training_drawing(rng) for _ in range(NAMED)]
        sizes = [sides(rng, self.eyes.sight.image) for _ in drawings]
        pictures = pictures_of(drawings, sizes, self.eyes.sight.image)
        *_, lower, last = self.eyes.v.states(pictures)
        seen = last.mean(dim=1)
        shapes = torch.tensor([list(SHAPES).index(d.shape) for d in drawings[:NAMELESS]])
        colours = torch.tensor([list(COLOURS).index(d.colour) for d in drawings[NAMELESS:]])
        return (
            F.cross_entropy(self.shape(seen[:NAMELESS]), shapes)
            + F.cross_entropy(self.colour(seen[NAMELESS:]), colours)
            + OUTLINE_WEIGHT
            * F.binary_cross_entropy_with_logits(
                self.outline(lower), self._covered(drawings, sizes)
            )
        )

    def _covered(self, drawings: list[Drawing], sizes: list[tuple[int, int]]) -> Tensor:
        """How much of each square of each patch is covered, [drawings, tokens, OUTLINE^2]."""
        sight = self.eyes.sight
        covers = [
            centred(cover(drawing, *size), sight.image)
            for drawing, size in zip(drawings, sizes, strict=True)
        ]
        count, step = sight.across, sight.patch // OUTLINE
        whole = torch.from_numpy(np.stack(covers)).float()
        whole = whole.view(-1, count, OUTLINE, step, count, OUTLINE, step).mean(dim=(3, 6))
        return whole.permute(0, 1, 3, 2, 4).reshape(len(drawings), sight.tokens, OUTLINE**2)

    @torch.no_grad()
    def right(self, drawings: list[Drawing]) -> tuple[float, float]:
        """Shares of the drawings whose shape and whose colour are seen."""
        size = self.eyes.sight.image
        seen = self.eyes.v(pictures_of(drawings, [(size, size)] * len(drawings), size)).mean(dim=1)
        shapes, colours = self.shape(seen).argmax(-1), self.colour(seen).argmax(-1)
        shape = sum(list(SHAPES)[i] == d.shape for i, d in zip(shapes, drawings, strict=True))
        colour = sum(list(COLOURS)[i] == d.colour for i, d in zip(colours, drawings, strict=True))
        return shape / len(drawings), colour / len(drawings)


def sides(rng: Random, size: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side is `size`; half of them are square."""
    short = size if rng.random() < 0.5 else rng.randint(round(size * NARROWEST), size)
    return (size, short) if rng.random() < 0.5 else (short, size)


def pictures_of(drawings: list[Drawing], sizes: list[tuple[int, int]], size: int) -> Tensor:
    """Drawings as the eyes take them, each in a square of `size`."""
    return as_tensor(
        [framed(draw(d, *wide_high), size) for d, wide_high in zip(drawings, sizes, strict=True)]
    )


def centred(covered: Grid, size: int) -> Grid:
    height, width = covered.shape
    square = np.zeros((size, size))
    down, across = (size - height) // 2, (size - width) // 2
    square[down : down + height, across : across + width] = covered
    return square
