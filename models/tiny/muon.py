"""Muon, an optimizer for matrices: the direction of a step is the momentum made orthogonal.

`torch.optim.Muon` is the same but always computes in bfloat16, which a processor without
instructions for it does sixty times slower than in 32 bits. This one computes in the matrix's type.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

ROUNDS = 5
# Of the odd polynomial that is applied to all singular values in each round. It is steep at zero
# and leaves them between about 0.7 and 1.2. https://kellerjordan.github.io/posts/muon/
LINEAR, CUBIC, QUINTIC = 3.4445, -4.775, 2.0315


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors and all singular values near one."""
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = LINEAR * x + (CUBIC * gram + QUINTIC * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    """Takes matrices only. `weight_decay` is a share of the rate, as in AdamW."""

    def __init__(
        self, matrices: Iterable[Tensor], lr: float, weight_decay: float, momentum: float
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(matrices, defaults)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["average"] = torch.zeros_like(matrix)
                average = state["average"].lerp_(matrix.grad, 1 - group["momentum"])
                step = orthogonal(matrix.grad.lerp(average, group["momentum"]))
                tall = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(step, alpha=-group["lr"] * tall)
