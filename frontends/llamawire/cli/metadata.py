"""Values of a GGUF file's metadata as text."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from rich.cells import cell_len

from llamawire.v1 import model_pb2

__all__ = ["Metadata", "integer_of", "metadata_text"]

Metadata = Mapping[str, model_pb2.MetadataValue]

# About as wide as the elements of a list are shown; at least one is.
ARRAY_COLUMNS = 10


def integer_of(metadata: Metadata, key: str) -> int:
    """A whole number of the metadata, or 0."""
    if key not in metadata:
        return 0
    value = metadata[key]
    return value.integer or value.unsigned


def metadata_text(value: model_pb2.MetadataValue) -> str:
    kind = value.WhichOneof("kind")
    if kind == "array":
        return _array_text(value.array)
    if kind == "flag":
        return "true" if value.flag else "false"
    if kind == "number32":
        return _number_text(_shortest(value.number32))
    if kind == "number":
        return _number_text(value.number)
    return str(getattr(value, kind)) if kind else ""


def _array_text(array: model_pb2.MetadataArray) -> str:
    if array.omitted:
        return "[...]"
    shown: list[str] = []
    width = 1
    for value in array.values:
        text = metadata_text(value)
        width += cell_len(text) + 2 * bool(shown)
        if shown and width > ARRAY_COLUMNS:
            break
        shown.append(text)
    left = len(array.values) - len(shown)
    return f"[{' '.join(shown)}{f' ...+{left} more' if left else ''}]"


def _number_text(value: float) -> str:
    return repr(value).removesuffix(".0")


def _shortest(value: float) -> float:
    """The number with the fewest digits that is the same 32-bit float."""
    packed = struct.pack("<f", value)
    numbers = (float(f"{value:.{digits}g}") for digits in range(1, 9))
    return next((number for number in numbers if struct.pack("<f", number) == packed), value)
