"""Writes and reads the parts of GGUF that this model uses, version 3, little-endian.

A file is a header, keys with typed values, a description of each tensor, and the tensors, each
beginning at a multiple of 32 bytes. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
SCALARS = {UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}
TENSOR_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}

Metadata = dict[str, tuple[int, Any]]
"""Key to (type, value); the type of a list is that of its elements."""


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _scalar(kind: int, value: Any) -> bytes:
    return _text(value) if kind == STRING else struct.pack(SCALARS[kind], value)


def _value(kind: int, value: Any) -> bytes:
    if not isinstance(value, list):
        return struct.pack("<I", kind) + _scalar(kind, value)
    items = b"".join(_scalar(kind, item) for item in value)
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + items


def write(path: Path, metadata: Metadata, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    head = MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(metadata))
    head += b"".join(_text(key) + _value(*entry) for key, entry in metadata.items())
    data = b""
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in TENSOR_TYPES.items() if dtype == tensor.dtype)
        dimensions = tensor.shape[::-1]  # GGUF names the innermost dimension first.
        head += _text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        head += struct.pack("<IQ", kind, len(data))
        data += _padded(np.ascontiguousarray(tensor).tobytes())
    path.write_bytes(_padded(head) + data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % ALIGNMENT)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, form: str) -> Any:
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values[0] if len(values) == 1 else values

    def text(self) -> str:
        length = self.unpack("<Q")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def scalar(self, kind: int) -> Any:
        return self.text() if kind == STRING else self.unpack(SCALARS[kind])

    def entry(self) -> tuple[int, Any]:
        kind = self.unpack("<I")
        if kind != ARRAY:
            return kind, self.scalar(kind)
        kind, length = self.unpack("<IQ")
        return kind, [self.scalar(kind) for _ in range(length)]


def read(path: Path) -> tuple[Metadata, dict[str, np.ndarray[Any, Any]]]:
    """The metadata and the tensors of a file that `write` wrote."""
    reader = _Reader(path.read_bytes())
    if reader.data[:4] != MAGIC:
        raise ValueError(f"{path} is not a GGUF file")
    reader.at = 4
    _, tensor_count, key_count = reader.unpack("<IQQ")
    metadata = {reader.text(): reader.entry() for _ in range(key_count)}
    described: list[tuple[str, list[int], int, int]] = []
    for _ in range(tensor_count):
        name, rank = reader.text(), reader.unpack("<I")
        sizes = [reader.unpack("<Q") for _ in range(rank)]
        kind, offset = reader.unpack("<IQ")
        described.append((name, sizes[::-1], kind, offset))
    base = reader.at + -reader.at % ALIGNMENT
    tensors = {}
    for name, sizes, kind, offset in described:
        count = int(np.prod(sizes))
        flat = np.frombuffer(reader.data, TENSOR_TYPES[kind], count, base + offset)
        tensors[name] = flat.reshape(sizes)
    return metadata, tensors
