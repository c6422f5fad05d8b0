"""Joins the files of a split model into one.

The metadata comes from the first file, byte for byte and without the keys that speak of the split;
the tensors of all files follow in order. Nothing is held in memory but one piece of a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.header import Gguf, TensorInfo

__all__ = ["SPLIT_KEYS", "merge", "merged_size"]

SPLIT_KEYS = ("split.no", "split.count", "split.tensors.count")
CHUNK_BYTES = 1 << 20
# How much is written from one word about it to the next.
STEP_BYTES = 64 << 20

Write = Callable[[bytes], None]


def merged_size(parts: Sequence[Gguf]) -> int:
    """The bytes of tensors that `merge` will have written in the end."""
    return sum(tensor.size for part in parts for tensor in part.tensors)


def merge(parts: Sequence[Gguf], write: Write) -> Iterator[int]:
    """Writes the file; gives the bytes of tensors written so far, now and then and at the end.

    The parts are in their order and have all passed `read_gguf`. Whether the whole is a model that
    may be loaded is for the validator to say. Raises InvalidGguf, OSError.
    """
    first = parts[0]
    for part in parts:
        if (part.version, part.byte_order) != (first.version, first.byte_order):
            raise InvalidGguf("the parts of a split GGUF differ in their version or byte order")
        if part.version == 1:
            raise InvalidGguf("a split GGUF of version 1 cannot be merged")
    position = _write_header(parts, write)
    write(bytes(-position % first.alignment))
    done, told = 0, 0
    for part in parts:
        with part.path.open("rb", buffering=0) as file:
            for tensor in part.tensors:
                for size in _copy(file, part.data_offset + tensor.offset, tensor.size, write):
                    done += size
                    if done - told >= STEP_BYTES:
                        told = done
                        yield done
                write(bytes(-tensor.size % first.alignment))
    yield done


def _write_header(parts: Sequence[Gguf], write: Write) -> int:
    """Everything before the data; gives its length."""
    first = parts[0]
    order = first.byte_order
    tensors = [tensor for part in parts for tensor in part.tensors]
    dropped = {*SPLIT_KEYS, *(first.key(key) for key in SPLIT_KEYS)}
    places = [place for key, place in first.places.items() if key not in dropped]
    with first.path.open("rb", buffering=0) as file:
        magic = file.read(4)
        write(magic + struct.pack(f"{order}IQQ", first.version, len(tensors), len(places)))
        position = 24
        for place in places:
            position += sum(_copy(file, place.start, place.end - place.start, write))
    offset = 0
    for tensor in tensors:
        text = _tensor(tensor, offset, order)
        write(text)
        position += len(text)
        offset += tensor.size + -tensor.size % first.alignment
    return position


def _tensor(tensor: TensorInfo, offset: int, order: str) -> bytes:
    name = tensor.name.encode()
    shape = struct.pack(f"{order}I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    ending = struct.pack(f"{order}IQ", tensor.kind, offset)
    return struct.pack(f"{order}Q", len(name)) + name + shape + ending


def _copy(file: BinaryIO, start: int, size: int, write: Write) -> Iterator[int]:
    file.seek(start)
    while size:
        chunk = file.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise InvalidGguf("unexpected EOF")
        write(chunk)
        size -= len(chunk)
        yield len(chunk)
