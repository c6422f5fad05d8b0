"""The file of API keys: JSON, with a hash in place of each key.

{"keys": [{"id": "k3v9x0ab", "name": "ci", "sha256": "…", "scopes": ["generate"]}]}
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from llamawire.engine.access.key import Key
from llamawire.engine.errors import StartError

__all__ = ["KeyFile", "KeyFileError"]

FILE_BYTES_MAX = 16 << 20


class KeyFileError(StartError):
    """The file cannot be read or does not say what a key file says."""


class Content(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[Key]


class KeyFile:
    """One file on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def state(self) -> tuple[int, ...] | None:
        """Another value when the file may have changed; None if it is not there."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ino, stat.st_size)

    def read(self) -> list[Key]:
        """All keys; KeyFileError says what is wrong with which."""
        try:
            with self.path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise KeyFileError(f"the key file {self.path}: {error.strerror}") from error
        if len(data) > FILE_BYTES_MAX:
            raise KeyFileError(f"the key file {self.path} has more than {FILE_BYTES_MAX} bytes")
        try:
            keys = msgspec.json.decode(data, type=Content).keys
        except msgspec.DecodeError as error:
            raise KeyFileError(f"the key file {self.path}: {error}") from error
        seen: set[str] = set()
        for number, key in enumerate(keys):
            mistake = key.mistake or ("its id comes twice" if key.id in seen else None)
            if mistake:
                raise KeyFileError(f"the key file {self.path}: key {number}: {mistake}")
            seen.add(key.id)
        return keys

    def add(self, key: Key) -> None:
        """Makes the file if there is none. ValueError for a name that is taken."""
        if key.mistake:
            raise ValueError(key.mistake)
        with self._locked():
            keys = self.read() if self.path.exists() else []
            if any(key.name == other.name for other in keys):
                raise ValueError(f"there is a key {key.name!r} already")
            self._write([*keys, key])

    def revoke(self, word: str) -> Key:
        """Takes out the key with this ID or name. KeyError if there is none."""
        with self._locked():
            keys = self.read()
            found = [key for key in keys if key.id == word] or [
                key for key in keys if key.name == word
            ]
            if not found:
                raise KeyError(word)
            self._write([key for key in keys if key is not found[0]])
        return found[0]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the lock is the folder's, since the file is replaced."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, keys: list[Key]) -> None:
        """Replaces the file in one step: a reader sees the old keys or the new ones. It keeps its
        mode, and is the owner's alone when it is new."""
        data = msgspec.json.format(msgspec.json.encode(Content(keys)), indent=2) + b"\n"
        handle, temporary = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                if self.path.exists():
                    os.fchmod(file.fileno(), self.path.stat().st_mode & 0o777)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
