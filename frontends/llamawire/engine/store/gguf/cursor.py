"""A place in a GGUF file that moves forward over its numbers and strings.

The file is read through one window of bounded size, so a header of any length costs the same
memory, and skipping costs no reading. Whatever the bytes are, a cursor raises InvalidGguf or the
file system's OSError, nothing else.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.tables import SCALARS

__all__ = ["STRING_BYTES_MAX", "Cursor"]

STRING_BYTES_MAX = 16 << 20
HEADER_BYTES_MAX = 256 << 20  # Names, metadata and vocabulary; large models have about 20 MB.
WINDOW_BYTES = 1 << 20


class Cursor:
    """Reads forward from `position`, but not beyond HEADER_BYTES_MAX nor the end of the file."""

    def __init__(
        self, file: BinaryIO, position: int = 0, order: str = "<", version: int = 3
    ) -> None:
        self._file = file
        self._window = b""
        self._start = position  # Where the window begins in the file.
        self._at = 0  # Where we stand in the window.
        self.file_size = os.fstat(file.fileno()).st_size
        self._limit = min(self.file_size, HEADER_BYTES_MAX)
        self.set_format(order, version)

    def set_format(self, order: str, version: int) -> None:
        """The byte order, "<" or ">", and the version: the first one had counts of 32 bits."""
        self._scalars = {kind: struct.Struct(order + code) for kind, code in SCALARS.items()}
        self._count = struct.Struct(order + ("I" if version == 1 else "Q"))
        self._has_terminators = version == 1

    @property
    def position(self) -> int:
        return self._start + self._at

    @property
    def remaining(self) -> int:
        return self._limit - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes, which the caller has found reasonable."""
        if self._at + size > len(self._window):
            self._refill(size)
        data = self._window[self._at : self._at + size]
        self._at += size
        return data

    def skip(self, size: int) -> None:
        self._check_room(size)
        self._at += size
        if self._at > len(self._window):
            self._start, self._window, self._at = self.position, b"", 0

    def scalar(self, kind: int) -> int | float:
        form = self._scalars[kind]
        value: int | float = form.unpack(self.take(form.size))[0]
        return value

    def scalars(self, kind: int, count: int) -> Iterator[int | float]:
        form = self._scalars[kind]
        step = WINDOW_BYTES // form.size
        while count:
            some = min(count, step)
            for (value,) in form.iter_unpack(self.take(some * form.size)):
                yield value
            count -= some

    def u32(self) -> int:
        return int(self.scalar(4))

    def u64(self) -> int:
        return int(self.scalar(10))

    def count(self) -> int:
        """A count or length: 64 bits, in the first version 32."""
        value: int = self._count.unpack(self.take(self._count.size))[0]
        return value

    def string(self) -> bytes:
        length = self.count()
        _check_length(length)
        data = self.take(length)
        return data.removesuffix(b"\0") if self._has_terminators else data

    def skip_scalars(self, kind: int, count: int) -> None:
        self.skip(count * self._scalars[kind].size)

    def skip_strings(self, count: int) -> None:
        """Passes `count` strings; a tokenizer has several hundred thousand of them."""
        self._check_room(count * self._count.size)
        while count:
            count -= self._skip_strings_in_window(count)
            if count:
                length = self.count()
                _check_length(length)
                self.skip(length)
                count -= 1

    def _skip_strings_in_window(self, count: int) -> int:
        """Passes the strings that lie in the window whole, at most `count`; says how many."""
        unpack, width = self._count.unpack_from, self._count.size
        window, at = self._window, self._at
        last = len(window) - width
        passed = 0
        while passed < count and at <= last:
            length = unpack(window, at)[0]
            end = at + width + length
            if length > STRING_BYTES_MAX or end > len(window):
                break
            at = end
            passed += 1
        self._at = at
        return passed

    def _check_room(self, size: int) -> None:
        if size <= self.remaining:
            return
        if self._limit < self.file_size:
            raise InvalidGguf(f"GGUF header exceeds maximum of {HEADER_BYTES_MAX} bytes")
        raise InvalidGguf("unexpected EOF")

    def _refill(self, size: int) -> None:
        self._check_room(size)
        start = self.position
        self._file.seek(start)
        wanted = min(max(size, WINDOW_BYTES), self._limit - start)
        window = self._file.read(wanted)
        if len(window) < size:
            raise InvalidGguf("unexpected EOF")  # Somebody cut the file while we read it.
        self._start, self._window, self._at = start, window, 0


def _check_length(length: int) -> None:
    if length > STRING_BYTES_MAX:
        raise InvalidGguf(f"GGUF string length {length} exceeds maximum {STRING_BYTES_MAX}")
