"""The llama architecture in plain PyTorch, laid out as llama.cpp expects it in a GGUF.

The names of the parameters are the names of the tensors. Rotary embedding turns neighbouring pairs
of a head's values (llama.cpp calls this layout NORM), so nothing is permuted on export.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of the model; 256 wide, so that every kind of quantisation fits its rows."""

    vocabulary: int = 2048
    width: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    feed_forward: int = 512
    context: int = 4096
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Norm(nn.Module):
    """RMSNorm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.norm_epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Block(nn.Module):
    """Attention with grouped keys and values, then a gated feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, kv_width = shape.width, shape.kv_heads * shape.head_width
        self.attn_norm = Norm(shape)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, kv_width, bias=False)
        self.attn_v = nn.Linear(width, kv_width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = Norm(shape)
        self.ffn_gate = nn.Linear(width, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(width, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, width, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        x = x + self._attention(self.attn_norm(x), rope, mask)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    def _attention(self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        groups = self.shape.heads // self.shape.kv_heads

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, -1, self.shape.head_width).transpose(1, 2)

        q = rotated(heads(self.attn_q(x)), rope)
        k = rotated(heads(self.attn_k(x)), rope).repeat_interleave(groups, dim=1)
        v = heads(self.attn_v(x)).repeat_interleave(groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.attn_output(y.transpose(1, 2).reshape(batch, length, width))


def rotated(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turns each pair of neighbouring values by the angle of its position."""
    cosine, sine = rope
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), dim=-1).flatten(-2)


class Tiny(nn.Module):
    """Token ids in, logits out. The output layer shares the weights of the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(weight, std=0.02 / ((2 * shape.layers) ** 0.5 if deep else 1))

    def forward(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Both are [batch, length]; the mask is [batch, 1, length, length], true = may see."""
        x = self.read(self.token_embd(ids), positions, mask)
        return F.linear(x, self.token_embd.weight)

    def read(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """From tokens as vectors, [batch, length, width], to what the output layer takes."""
        steps = torch.arange(0, self.shape.head_width, 2, dtype=torch.float32)
        frequencies = self.shape.rope_base ** (-steps / self.shape.head_width)
        angles = (positions[:, None, :, None].float() * frequencies).float()
        rope = (angles.cos(), angles.sin())
        for block in self.blk:
            x = block(x, rope, mask)
        return self.output_norm(x)

    @torch.no_grad()
    def generate(self, ids: list[int], stop: set[int], limit: int = 96) -> list[int]:
        """Greedy continuation, without a cache: short texts do not need one."""
        said: list[int] = []
        while len(said) < limit and (not said or said[-1] not in stop):
            context = torch.tensor([ids + said])
            length = context.shape[1]
            mask = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
            logits = self(context, torch.arange(length)[None], mask)
            said.append(int(logits[0, -1].argmax()))
        return said
