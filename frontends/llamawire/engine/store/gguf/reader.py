"""Reads the header of a GGUF file, of any version and byte order."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.cursor import Cursor
from llamawire.engine.store.gguf.header import (
    Gguf,
    GgufArray,
    GgufValue,
    KeyPlace,
    TensorInfo,
    decode_text,
    shape_value,
)
from llamawire.engine.store.gguf.tables import ARRAY, SCALARS, STRING, TENSOR_TYPES

__all__ = ["is_gguf", "read_gguf"]

MAGIC = b"GGUF"
SWAPPED_MAGIC = b"FUGG"
KEYS_MAX = 16_384
TENSORS_MAX = 65_536
DIMENSIONS_MAX = 4
ARRAY_ELEMENTS_MAX = 64 << 20
KEPT_TEXT_BYTES_MAX = 64 << 20  # Keys, strings and tensor names of one file in memory.
SIZE_MAX = (1 << 63) - 1


def is_gguf(path: Path) -> bool:
    """Whether the file begins as a GGUF does. Raises OSError."""
    with path.open("rb") as file:
        return file.read(4) in (MAGIC, SWAPPED_MAGIC)


def read_gguf(path: Path, *, only_head: bool = False) -> Gguf:
    """Reads the header of a file: metadata and tensors.

    With `only_head`, it stops at the first key of the tokenizer, which makes it quick; the rest
    and the tensors are then missing. Raises InvalidGguf for bytes that are no GGUF, and OSError;
    time is linear in the header's size, which is bounded, and so is memory.
    """
    with path.open("rb", buffering=0) as file:
        return _read(path, file, only_head)


def _read(path: Path, file: BinaryIO, only_head: bool) -> Gguf:
    cursor = Cursor(file)
    version, order = _read_format(cursor)
    cursor.set_format(order, version)
    tensor_count, key_count = cursor.count(), cursor.count()
    _check_count("tensors", tensor_count, TENSORS_MAX)
    _check_count("keys", key_count, KEYS_MAX)
    metadata: dict[str, GgufValue] = {}
    places: dict[str, KeyPlace] = {}
    kept = _Kept()
    for _ in range(key_count):
        start = cursor.position
        key = kept.text(cursor.string())
        if only_head and key.startswith("tokenizer.") and "general.architecture" in metadata:
            return Gguf(path, version, order, cursor.file_size, metadata)
        if key in metadata:
            raise InvalidGguf(f'GGUF key "{key}" appears twice')
        kind = cursor.u32()
        metadata[key] = _read_value(cursor, kind, kept)
        places[key] = KeyPlace(kind, start, cursor.position)
    head = Gguf(path, version, order, cursor.file_size, metadata)
    if only_head:
        return head
    tensors = tuple(_read_tensor(cursor, kept) for _ in range(tensor_count))
    data_offset = _align(cursor.position, head.alignment)
    for tensor in tensors:
        _check_bounds(tensor, data_offset, cursor.file_size)
    return replace(head, tensors=tensors, data_offset=data_offset, places=places)


def _read_format(cursor: Cursor) -> tuple[int, str]:
    """Version and byte order. A version with empty low bytes is one of the other order."""
    magic = cursor.take(min(4, cursor.remaining))
    if magic not in (MAGIC, SWAPPED_MAGIC):
        raise InvalidGguf("invalid file magic")
    raw = cursor.take(4)
    version: int = struct.unpack("<I", raw)[0]
    if magic == SWAPPED_MAGIC or version & 0xFFFF == 0:
        version = struct.unpack(">I", raw)[0]
        return _check_version(version), ">"
    return _check_version(version), "<"


def _check_version(version: int) -> int:
    if version == 0 or version > 0xFFFF:
        raise InvalidGguf(f"invalid version: {version}")
    return version


class _Kept:
    """Decodes the strings that stay in memory, and bounds what they add up to."""

    def __init__(self) -> None:
        self._bytes = 0

    def text(self, raw: bytes) -> str:
        self._bytes += len(raw)
        if self._bytes > KEPT_TEXT_BYTES_MAX:
            raise InvalidGguf(f"GGUF strings exceed maximum of {KEPT_TEXT_BYTES_MAX} bytes")
        return decode_text(raw)


def _read_value(cursor: Cursor, kind: int, kept: _Kept) -> GgufValue:
    if kind == STRING:
        return kept.text(cursor.string())
    if kind == ARRAY:
        return _pass_array(cursor)
    if kind not in SCALARS:
        raise InvalidGguf(f"invalid type: {kind}")
    return shape_value(kind, cursor.scalar(kind))


def _pass_array(cursor: Cursor) -> GgufArray:
    kind, count = cursor.u32(), cursor.count()
    if kind != STRING and kind not in SCALARS:
        raise InvalidGguf(f"invalid array type: {kind}")
    if count > ARRAY_ELEMENTS_MAX:
        raise InvalidGguf(f"GGUF array size {count} exceeds maximum {ARRAY_ELEMENTS_MAX}")
    array = GgufArray(kind, count, cursor.position)
    if kind == STRING:
        cursor.skip_strings(count)
    else:
        cursor.skip_scalars(kind, count)
    return array


def _read_tensor(cursor: Cursor, kept: _Kept) -> TensorInfo:
    name = kept.text(cursor.string())
    dimensions = cursor.u32()
    if dimensions > DIMENSIONS_MAX:
        raise InvalidGguf(
            f'tensor "{name}" dimensions {dimensions} exceeds maximum {DIMENSIONS_MAX}'
        )
    shape = tuple(cursor.count() for _ in range(dimensions))
    tensor = TensorInfo(name, cursor.u32(), shape, cursor.u64())
    if tensor.kind not in TENSOR_TYPES or tensor.elements > SIZE_MAX or tensor.size > SIZE_MAX:
        raise InvalidGguf(f'tensor "{name}" size overflow')
    block_elements = TENSOR_TYPES[tensor.kind][1]
    if (shape[0] if shape else 1) % block_elements:
        raise InvalidGguf(
            f'tensor "{name}" rows of {shape[0] if shape else 1} elements '
            f"are not whole blocks of {block_elements}"
        )
    return tensor


def _check_bounds(tensor: TensorInfo, data_offset: int, file_size: int) -> None:
    end = data_offset + tensor.offset + tensor.size
    if end > file_size:
        raise InvalidGguf(
            f'tensor "{tensor.name}" offset+size ({end}) exceeds file size ({file_size})'
        )


def _check_count(what: str, count: int, maximum: int) -> None:
    if count > maximum:
        raise InvalidGguf(f"GGUF has {count} {what}, more than the maximum of {maximum}")


def _align(position: int, alignment: int) -> int:
    if alignment <= 0:
        raise InvalidGguf(f"invalid GGUF alignment: {alignment}")
    return -(-position // alignment) * alignment
