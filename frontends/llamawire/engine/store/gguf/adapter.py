"""Decides whether llama.cpp may add a LoRA adapter to a model.

An adapter has two small matrices for each matrix of the model that it changes: `NAME.lora_a` and
`NAME.lora_b`, whose product is added to NAME, times alpha by the rank. llama.cpp ends the process
over a key of another type and over factors that it cannot multiply, so both are compared here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.header import Gguf, TensorInfo
from llamawire.engine.store.gguf.tables import FLOAT32

__all__ = ["check_adapter", "check_adapter_suits"]

FACTORS = (".lora_a", ".lora_b")
# Of the types that llama.cpp can multiply by on every backend.
FACTOR_TYPES = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
TRANSPOSED = "token_embd.weight"  # Its rows are looked up, so its factors lie the other way round.
OUTPUT = "output.weight"

_ALPHA = "adapter.lora.alpha"
_INVOCATION = "adapter.alora.invocation_tokens"


def check_adapter(adapter: Gguf) -> None:
    """Raises InvalidGguf unless the file, by itself, is a LoRA adapter that can be applied."""
    for key, wanted in (("general.type", "adapter"), ("adapter.type", "lora")):
        value = adapter.metadata.get(key)
        if value != wanted:
            raise InvalidGguf(f'{key} of an adapter must be "{wanted}"')
    alpha, place = adapter.metadata.get(_ALPHA), adapter.places.get(_ALPHA)
    if place is not None and (place.kind != FLOAT32 or not _is_finite(alpha)):
        raise InvalidGguf(f"{_ALPHA} must be a finite 32-bit float")
    if _INVOCATION in adapter.metadata:
        raise InvalidGguf(f"{_INVOCATION}: adapters that wait for an invocation are not supported")
    pairs = _pairs(adapter)
    if not pairs:
        raise InvalidGguf("the adapter has no tensors")
    for name, (a, b) in pairs.items():
        for factor in (a, b):
            if factor.type_name not in FACTOR_TYPES:
                raise InvalidGguf(
                    f'adapter tensor "{factor.name}" is {factor.type_name}, '
                    f"not one of {', '.join(FACTOR_TYPES)}"
                )
        rank = _shape(a)[0 if _is_transposed(name) else 1]
        if rank != _shape(b)[0]:
            raise InvalidGguf(
                f'adapter tensors of "{name}" have ranks {rank} and {_shape(b)[0]}, not one rank'
            )


def check_adapter_suits(adapter: Gguf, weights: Gguf) -> None:
    """Raises InvalidGguf unless an adapter, checked by itself, fits these weights."""
    if adapter.architecture != weights.architecture:
        raise InvalidGguf(
            f"the adapter is for the architecture {adapter.architecture}, "
            f"the model is {weights.architecture}"
        )
    tensors = {tensor.name: tensor for tensor in weights.tensors}
    for name, (a, b) in _pairs(adapter).items():
        tensor = tensors.get(name)
        if tensor is None:
            raise InvalidGguf(f'the adapter changes "{name}", which the model does not have')
        if tensor.type_name == "NVFP4":
            raise InvalidGguf(f'the adapter changes "{name}", which is NVFP4: that is not possible')
        if name == TRANSPOSED and OUTPUT not in tensors:
            # llama.cpp would multiply by the factors as they lie for looking rows up, and abort.
            raise InvalidGguf(
                f'the adapter changes "{name}", which is the output of this model, too: '
                "that is not possible"
            )
        product = _product(name, _shape(a), _shape(b))
        if product != _shape(tensor):
            raise InvalidGguf(
                f"the adapter's \"{name}\" is {_text(product)}, the model's {_text(_shape(tensor))}"
            )


def _pairs(adapter: Gguf) -> Mapping[str, tuple[TensorInfo, TensorInfo]]:
    """The factors of each matrix by its name. Raises InvalidGguf for other tensors."""
    tensors = {tensor.name: tensor for tensor in adapter.tensors}
    pairs = {}
    for name in tensors:
        target, suffix = name[:-7], name[-7:]
        if suffix not in FACTORS:
            # Norms are left out by llama.cpp, which says that adapters work well without them.
            if not name.endswith("_norm.weight"):
                raise InvalidGguf(f'adapter tensor "{name}" is neither a lora_a nor a lora_b')
            continue
        factors = [tensors.get(target + each) for each in FACTORS]
        if factors[0] is None or factors[1] is None:
            raise InvalidGguf(f'adapter tensor "{name}" is without its other factor')
        pairs[target] = (factors[0], factors[1])
    return pairs


Shape = tuple[int, int, int, int]


def _product(name: str, a: Shape, b: Shape) -> Shape:
    """The shape of the two factors' product; one that no tensor has if they are stacked unalike."""
    if a[2:] != b[2:]:
        return (0, 0, 0, 0)
    inner = (b[1], a[1]) if _is_transposed(name) else (a[0], b[1])
    return (*inner, a[2], a[3])


def _is_transposed(name: str) -> bool:
    return name.endswith(TRANSPOSED)


def _shape(tensor: TensorInfo) -> Shape:
    shape = (*tensor.shape, 1, 1, 1, 1)
    return (shape[0], shape[1], shape[2], shape[3])


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape[: 4 if shape[3] > 1 else 3 if shape[2] > 1 else 2]))


def _is_finite(value: object) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)
