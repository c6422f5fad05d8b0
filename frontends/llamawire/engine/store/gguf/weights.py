"""Whether a model's tensors are such as llama.cpp computes with.

It looks at their shapes when it loads, and at their kinds not before it computes: what no kernel
is written for then ends the process. Vectors, biases and norms are F32 in every file that its
converters write, whatever the matrices are.
"""

from __future__ import annotations

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.header import Gguf, TensorInfo

__all__ = ["check_kinds", "check_weights"]

F32 = 0
# Numbers that are no weights, and what sums are kept in while they are computed.
_NOT_OF_WEIGHTS = (9, 15, 24, 25, 26, 27, 28)  # Q8_1, Q8_K, I8, I16, I32, I64, F64
# Tables of indices, which some models have.
_INDICES = ("d2t", "t2d", "ffn_gate_tid2eid.weight")
_CONVOLUTIONS = ("ssm_conv1d.weight", "shortconv.conv.weight")


def check_weights(gguf: Gguf) -> None:
    """Of a language model."""
    check_kinds(gguf)
    for tensor in gguf.tensors:
        if tensor.kind != F32 and not _is_index(tensor) and _is_added_or_scales(tensor):
            raise InvalidGguf(f'tensor "{tensor.name}" must be F32, not {tensor.type_name}')


def check_kinds(gguf: Gguf) -> None:
    """Of a projector, too."""
    for tensor in gguf.tensors:
        if tensor.kind in _NOT_OF_WEIGHTS and not _is_index(tensor):
            raise InvalidGguf(f'tensor "{tensor.name}" is of {tensor.type_name}, not of weights')
        if tensor.kind != F32 and len(tensor.shape) == 1 and not _is_index(tensor):
            raise InvalidGguf(f'tensor "{tensor.name}" must be F32, not {tensor.type_name}')


def _is_index(tensor: TensorInfo) -> bool:
    return tensor.name.endswith(_INDICES)


def _is_added_or_scales(tensor: TensorInfo) -> bool:
    return (
        not tensor.name.endswith(".weight")
        or "norm" in tensor.name
        or tensor.name.endswith(_CONVOLUTIONS)
    )
