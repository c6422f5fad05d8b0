"""A LoRA adapter: what a frozen language model adds to its products, as two thin matrices each.

llama.cpp adds `scale * b @ (a @ x)` to a product with a matrix that an adapter names. The names of
the parameters are the names of the tensors, but for the `weight` that stands before `lora_a`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from model import Tiny
from torch import Tensor, nn

RANK = 16
ALPHA = 16.0
"""The scale is alpha / rank."""
MATRICES = (
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)


class Adapted(nn.Module):
    """A frozen linear layer and what is added to it: nothing at first, as `lora_b` is zero."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(RANK, base.in_features) / base.in_features**0.5)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = (x @ self.lora_a.T) @ self.lora_b.T
        return self.base(x) + added * (ALPHA / RANK)


def adapt(tiny: Tiny) -> None:
    """Freezes the model and gives each matrix of its blocks an adapter."""
    tiny.requires_grad_(False)
    for block in tiny.blk:
        for name in MATRICES:
            setattr(block, name, Adapted(getattr(block, name)))


def adapter(tiny: Tiny) -> Iterator[tuple[str, nn.Parameter]]:
    """The tensors of the adapter, as a file names them."""
    for name, parameter in tiny.named_parameters():
        if ".lora_" in name:
            yield name.replace(".lora_", ".weight.lora_"), parameter
