"""What a GGUF file says of itself: metadata and tensors' names, not the tensors.

Arrays stay on disk until they are asked for: a tokenizer's lists are most of a header, and hardly
anybody wants them. Keys of a model's own carry its architecture in front; `Gguf.key` adds it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llamawire.engine.store.gguf.cursor import Cursor
from llamawire.engine.store.gguf.tables import BOOL, FILE_TYPES, FLOAT32, STRING, TENSOR_TYPES

__all__ = [
    "Gguf",
    "GgufArray",
    "GgufValue",
    "KeyPlace",
    "TensorInfo",
    "decode_text",
    "human_count",
    "shape_value",
]

SMALL_ARRAY_MAX = 65_536
DEFAULT_ALIGNMENT = 32

_FLOAT32 = struct.Struct("<f")
_FLOAT32_MAX = 3.4028234e38


@dataclass(frozen=True)
class GgufArray:
    """An array that was passed over: its kind of elements, their count and where they lie."""

    kind: int
    count: int
    offset: int


GgufValue = int | float | bool | str | GgufArray


@dataclass(frozen=True)
class KeyPlace:
    """Where a key and its value lie in the file, and of which kind the value is."""

    kind: int
    start: int
    end: int


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of the file. `shape` has the innermost dimension first."""

    name: str
    kind: int
    shape: tuple[int, ...]
    offset: int  # From the beginning of the data.

    @property
    def type_name(self) -> str:
        return TENSOR_TYPES[self.kind][0] if self.kind in TENSOR_TYPES else "unknown"

    @property
    def elements(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def size(self) -> int:
        """In bytes."""
        _, block_elements, block_bytes = TENSOR_TYPES[self.kind]
        return self.elements // block_elements * block_bytes


@dataclass(frozen=True)
class Gguf:
    """The header of one file. The getters give None for what is absent or of another type."""

    path: Path
    version: int
    byte_order: str  # "<" or ">".
    file_size: int
    metadata: Mapping[str, GgufValue]
    tensors: tuple[TensorInfo, ...] = ()
    data_offset: int = 0
    places: Mapping[str, KeyPlace] = field(default_factory=dict, repr=False)

    @property
    def architecture(self) -> str:
        return self.text("general.architecture") or "unknown"

    @property
    def parameter_count(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def file_type(self) -> str:
        """Its name, or "unknown"; zero says nothing, since writers leave it at that."""
        return FILE_TYPES.get(self.integer("general.file_type") or -1, "unknown")

    @property
    def alignment(self) -> int:
        alignment = self.integer("general.alignment")
        return DEFAULT_ALIGNMENT if alignment is None else alignment

    @property
    def role(self) -> str:
        """What the file is for: "model", "projector" or "adapter"."""
        if self.text("general.type") == "adapter":
            return "adapter"
        return "projector" if self._is_projector() else "model"

    def _is_projector(self) -> bool:
        if self.text("general.type") in ("projector", "mmproj"):
            return True
        blocks = self.integer("block_count")
        if blocks == 0 and (self.integer("vision.block_count") or 0) > 0:
            return True
        has_encoder = self.flag("has_vision_encoder") or self.flag("has_audio_encoder")
        return self.architecture == "clip" and blocks is None and bool(has_encoder)

    def key(self, name: str) -> str:
        """The key as the file has it: `context_length` is `llama.context_length`."""
        if name.startswith(("general.", "tokenizer.")):
            return name
        prefix = self.metadata.get("general.architecture")
        return f"{prefix if isinstance(prefix, str) and prefix else 'unknown'}.{name}"

    def has(self, name: str) -> bool:
        return self.key(name) in self.metadata

    def text(self, name: str) -> str | None:
        value = self.metadata.get(self.key(name))
        return value if isinstance(value, str) else None

    def integer(self, name: str) -> int | None:
        value = self.metadata.get(self.key(name))
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, name: str) -> float | None:
        value = self.metadata.get(self.key(name))
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if isinstance(value, (int, float)) and is_number else None

    def flag(self, name: str) -> bool | None:
        value = self.metadata.get(self.key(name))
        return value if isinstance(value, bool) else None

    def array(self, name: str) -> GgufArray | None:
        value = self.metadata.get(self.key(name))
        return value if isinstance(value, GgufArray) else None

    def integers(self, name: str) -> list[int] | None:
        """A value that is one integer or a short list of them, as a list."""
        value = self.integer(name)
        if value is not None:
            return [value]
        array = self.array(name)
        if array is None or array.kind in (STRING, BOOL) or array.count > SMALL_ARRAY_MAX:
            return None
        items = list(self.elements(array))
        return [item for item in items if isinstance(item, int)] if _all_integers(items) else None

    def elements(self, array: GgufArray) -> Iterator[int | float | bool | str]:
        """The elements of an array, read from the file as they are taken.

        Raises OSError if the file has gone, InvalidGguf if it has changed.
        """
        with self.path.open("rb", buffering=0) as file:
            cursor = Cursor(file, array.offset, self.byte_order, self.version)
            if array.kind == STRING:
                for _ in range(array.count):
                    yield decode_text(cursor.string())
            else:
                for value in cursor.scalars(array.kind, array.count):
                    yield shape_value(array.kind, value)

    def raw_strings(self, array: GgufArray) -> Iterator[bytes]:
        """The elements of an array of strings, undecoded."""
        with self.path.open("rb", buffering=0) as file:
            cursor = Cursor(file, array.offset, self.byte_order, self.version)
            for _ in range(array.count):
                yield cursor.string()


def decode_text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def shape_value(kind: int, value: int | float) -> int | float | bool:
    if kind == BOOL:
        return bool(value)
    return _shortest(value) if kind == FLOAT32 else value


def _shortest(value: float) -> float:
    """The number with the fewest digits that is this float32: 1e-05, not 9.99999974738e-06."""
    if not math.isfinite(value) or value == int(value):
        return value
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _FLOAT32_MAX and _FLOAT32.unpack(_FLOAT32.pack(short))[0] == value:
            return short
    return value


def _all_integers(items: list[int | float | bool | str]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) for item in items)


def human_count(count: int) -> str:
    """A number of parameters as people say it: 2850000000 is 2.9B."""
    if count >= 1_000_000_000:
        return _scaled(count, 1_000_000_000, "B", 1)
    if count >= 1_000_000:
        return _scaled(count, 1_000_000, "M", 2)
    if count >= 1_000:
        return f"{count / 1_000:.0f}K"
    return str(count)


def _scaled(count: int, unit: int, letter: str, digits: int) -> str:
    return f"{count / unit:.{0 if count % unit == 0 else digits}f}{letter}"
