"""What turns a picture into tokens that tiny can read: llama.cpp's `clip` graph in plain PyTorch.

A picture is cut into patches; each becomes a vector, blocks of attention let the vectors learn of
each other, and a projector makes each of them a token of the language model. The names of the
parameters are the names of the tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from drawing import Pixels
from torch import Tensor, nn

WAVES = 6
PAD = (122, 116, 104)
"""What llama.cpp fills up a picture with that is not square."""


@dataclass(frozen=True)
class Sight:
    """The sizes of the eyes. A picture is `image` pixels wide and high.

    `feed_forward` must not be `width`: llama.cpp tells by it which of two matrices is which.
    """

    image: int = 48
    patch: int = 12
    width: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 256
    norm_epsilon: float = 1e-5
    words: int = 256
    """How wide the language model's tokens are."""

    @property
    def across(self) -> int:
        return self.image // self.patch

    @property
    def tokens(self) -> int:
        return self.across**2


class Layer(nn.Module):
    """Attention among all patches, then a feed-forward layer."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.heads = sight.heads
        self.ln1 = nn.LayerNorm(sight.width, sight.norm_epsilon)
        self.attn_q = nn.Linear(sight.width, sight.width)
        self.attn_k = nn.Linear(sight.width, sight.width)
        self.attn_v = nn.Linear(sight.width, sight.width)
        self.attn_out = nn.Linear(sight.width, sight.width)
        self.ln2 = nn.LayerNorm(sight.width, sight.norm_epsilon)
        self.ffn_up = nn.Linear(sight.width, sight.feed_forward)
        self.ffn_down = nn.Linear(sight.feed_forward, sight.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(self.ln1(x))
        return x + self.ffn_down(F.silu(self.ffn_up(self.ln2(x))))

    def _attention(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            f(x).view(batch, length, self.heads, -1).transpose(1, 2)
            for f in (self.attn_q, self.attn_k, self.attn_v)
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return self.attn_out(y.transpose(1, 2).reshape(batch, length, width))


class Tower(nn.Module):
    """From pixels to a vector for each patch."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.patch_embd = nn.Conv2d(3, sight.width, sight.patch, sight.patch)
        self.position_embd = nn.Embedding(sight.tokens, sight.width)
        self.blk = nn.ModuleList(Layer(sight) for _ in range(sight.layers))
        self.post_ln = nn.LayerNorm(sight.width, sight.norm_epsilon)
        nn.init.normal_(self.position_embd.weight, std=0.3)
        with torch.no_grad():
            filters = smooth_filters(sight.patch)
            self.patch_embd.weight[: len(filters)] = filters[: sight.width]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.states(pictures)[-1]

    def states(self, pictures: Tensor) -> list[Tensor]:
        """The patches after each block; after the last one, normed."""
        x = self.patch_embd(pictures).flatten(2).transpose(1, 2) + self.position_embd.weight
        states = []
        for layer in self.blk:
            x = layer(x)
            states.append(x)
        return [*states[:-1], self.post_ln(x)]


def smooth_filters(size: int) -> Tensor:
    """Slow waves, across and down, of each colour: a patch's outline. [n, 3, size, size].

    From filters of noise the network needs several times as many pictures to see a shape.
    """
    at = (torch.arange(size) + 0.5) * math.pi / size
    waves = torch.cos(torch.arange(WAVES)[:, None] * at) * (2 / size) ** 0.5
    flat = torch.einsum("ay,bx->abyx", waves, waves).flatten(0, 1)
    return torch.einsum("kyx,cd->kcdyx", flat, torch.eye(3)).flatten(0, 1) / 3


class Eyes(nn.Module):
    """Pictures [batch, 3, image, image] from -1 to 1 in, tokens [batch, tokens, words] out."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.sight = sight
        self.v = Tower(sight)
        self.mm = nn.ModuleDict(
            {"0": nn.Linear(sight.width, sight.words), "2": nn.Linear(sight.words, sight.words)}
        )

    def forward(self, pictures: Tensor) -> Tensor:
        return self.projected(self.v(pictures))

    def projected(self, seen: Tensor) -> Tensor:
        """Tokens of what the tower sees."""
        return self.mm["2"](F.gelu(self.mm["0"](seen), approximate="tanh"))


def framed(picture: Pixels, size: int) -> Pixels:
    """A picture whose longer side is `size`, in the middle of a square."""
    height, width, _ = picture.shape
    square = np.empty((size, size, 3), np.uint8)
    square[:] = PAD
    down, across = (size - height) // 2, (size - width) // 2
    square[down : down + height, across : across + width] = picture
    return square


def as_tensor(pictures: list[Pixels]) -> Tensor:
    """Square pictures as the eyes take them."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
