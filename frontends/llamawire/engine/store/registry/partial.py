"""A download on the disk: `<blob>-partial` for the bytes, `<blob>-partial-<N>` for each part.

Ollama's format, so that either program goes on where the other one stopped. The file of the bytes
has its full length from the start and holes where nothing has arrived; a part's file is one line
of JSON that says how far it is. The order makes it safe to die at any moment: first the bytes of a
chunk, then the word that they are there. After a power cut the word may be there and the bytes
not; the digest finds that out, and `was_resumed` says that it is worth starting anew.

The file of the bytes is locked as long as it is open, so that no second process writes to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llamawire.engine.store.blobs import BLOB_MODE
from llamawire.engine.store.registry.limits import TransferLimits

__all__ = ["Part", "Partial", "PartialInUse", "bytes_present"]

# All states are equally long, so that a shorter one never leaves the end of a longer one behind.
STATE_BYTES = 128
# The most that one call takes, on every system of today.
PIECES_MAX = 1024
# Ollama deletes files older than an hour when it starts, the states of finished parts too.
TOUCH_INTERVAL_S = 600.0


class PartialInUse(Exception):
    """Another process, or another task of this one, has the download open."""


@dataclass
class Part:
    """A range of the file, fetched from its beginning to its end."""

    number: int
    offset: int
    size: int
    completed: int = 0

    @property
    def is_complete(self) -> bool:
        return self.completed == self.size

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def position(self) -> int:
        """Where its next byte goes."""
        return self.offset + self.completed

    def encode(self) -> bytes:
        state = {
            "N": self.number,
            "Offset": self.offset,
            "Size": self.size,
            "Completed": self.completed,
        }
        text = json.dumps(state, separators=(",", ":"))
        return text.ljust(STATE_BYTES - 1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Part:
        """Raises ValueError for anything that is not a state."""
        fields = json.loads(data)
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        values = [fields.get(key, 0) for key in ("N", "Offset", "Size", "Completed")]
        if not all(isinstance(value, int) and value >= 0 for value in values):
            raise ValueError("not a whole number")
        part = cls(*values)
        if part.completed > part.size:
            raise ValueError("more than the whole")
        return part


class Partial:
    """The files of one download: `open` them, and `close` them whatever `open` has raised.

    Blocking; threads may write to different parts at once.
    """

    def __init__(self, blob: Path, total: int, limits: TransferLimits) -> None:
        self.blob = blob
        self.total = total
        self.parts: list[Part] = []
        self.was_resumed = False
        self.fd = -1
        self._part_bytes = limits.part_bytes(total)
        self._touched_at = time.monotonic()

    def open(self) -> None:
        """Locks the files, and finds or makes the parts.

        Raises PartialInUse if somebody else has them open, and OSError.
        """
        self.fd = _open_locked(_data_path(self.blob))
        self.parts = self._resumed()
        self.was_resumed = any(part.completed for part in self.parts)
        if not self.parts:
            self._start(_split(self.total, self._part_bytes))

    @property
    def completed(self) -> int:
        return sum(part.completed for part in self.parts)

    @property
    def frontier(self) -> int:
        """Up to here nothing is missing."""
        for part in self.parts:
            if not part.is_complete:
                return part.position
        return self.total

    @property
    def is_complete(self) -> bool:
        return all(part.is_complete for part in self.parts)

    def write(self, part: Part, pieces: Sequence[bytes | memoryview]) -> None:
        """Adds to a part. Returns when the bytes and then the state are in the system's hands."""
        part.completed += _write(self.fd, pieces, part.position)
        self._save(part)
        if time.monotonic() - self._touched_at > TOUCH_INTERVAL_S:
            self._touch()

    def forget(self, part: Part) -> None:
        """Takes a part back to its beginning."""
        part.completed = 0
        self._save(part)

    def restart(self, *, as_one_part: bool = False) -> None:
        """Takes all of it back to the beginning."""
        sizes = [Part(0, 0, self.total)] if as_one_part else [*self.parts]
        self._start([Part(part.number, part.offset, part.size) for part in sizes])

    def finish(self) -> None:
        """Gives the bytes their name. Whoever calls has made sure that they deserve it."""
        os.fsync(self.fd)
        os.fchmod(self.fd, BLOB_MODE)
        os.replace(_data_path(self.blob), self.blob)
        # Only now: dying in between leaves states without bytes, which count for nothing.
        self._remove_states()

    def discard(self) -> None:
        """Deletes all of it."""
        self._remove_states()
        _data_path(self.blob).unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the lock. What is not finished stays for the next time."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _resumed(self) -> list[Part]:
        """The parts as they were left; none if they do not add up to this very file."""
        if os.fstat(self.fd).st_size != self.total:
            return []
        parts = sorted(_read_states(self.blob), key=lambda part: part.offset)
        starts = [0, *(part.end for part in parts)]
        has_gaps = any(part.offset != start for part, start in zip(parts, starts, strict=False))
        return [] if has_gaps or starts[-1] != self.total else parts

    def _start(self, parts: Sequence[Part]) -> None:
        self.was_resumed = False
        self._remove_states()
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self.total)
        self.parts = list(parts)
        for part in self.parts:
            self._save(part)

    def _save(self, part: Part) -> None:
        path = _state_path(self.blob, part.number)
        # One write of one block, which a process cannot die in the middle of.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, BLOB_MODE)
        try:
            os.pwrite(handle, part.encode(), 0)
        finally:
            os.close(handle)

    def _touch(self) -> None:
        self._touched_at = time.monotonic()
        for part in self.parts:
            with contextlib.suppress(FileNotFoundError):
                os.utime(_state_path(self.blob, part.number))

    def _remove_states(self) -> None:
        for path in _state_paths(self.blob):
            path.unlink(missing_ok=True)


def bytes_present(blob: Path) -> int:
    """How much of a download lies on the disk, whoever is at it."""
    return sum(part.completed for part in _read_states(blob)) if _data_path(blob).exists() else 0


def _data_path(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}-partial")


def _state_path(blob: Path, number: int) -> Path:
    return blob.with_name(f"{blob.name}-partial-{number}")


def _state_paths(blob: Path) -> list[Path]:
    return list(blob.parent.glob(f"{blob.name}-partial-*"))


def _read_states(blob: Path) -> list[Part]:
    """The states that are there; one that cannot be read makes them none."""
    try:
        return [Part.decode(path.read_bytes()) for path in _state_paths(blob)]
    except (ValueError, FileNotFoundError):
        return []


def _split(total: int, part_bytes: int) -> list[Part]:
    starts = range(0, total, part_bytes)
    return [Part(n, start, min(part_bytes, total - start)) for n, start in enumerate(starts)]


def _write(fd: int, pieces: Sequence[bytes | memoryview], position: int) -> int:
    """Writes all pieces, one after the other; gives their size."""
    size = sum(map(len, pieces))
    # Without a copy, unless there are more than one call may have, or the call did not take all.
    written = os.pwritev(fd, pieces, position) if len(pieces) <= PIECES_MAX else 0
    view = memoryview(b"".join(pieces) if written < size else b"")[written:]
    while view:
        count = os.pwrite(fd, view, position + written)
        view, written = view[count:], written + count
    return size


def _open_locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, BLOB_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock before may have renamed or deleted the file that is open here.
        if not os.path.samestat(os.fstat(handle), os.stat(path)):
            raise PartialInUse(path)
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        raise PartialInUse(path) from None
    except BaseException:
        os.close(handle)
        raise
    return handle
