"""Where an upload had got to, noted on the disk: after a crash it goes on from its last part.

The note is `<blob>-upload-<16 hex>` beside the blobs, one for each repository that a file goes to.
Its name is no digest, so that an old one goes with the next clean-up. It is locked while its upload
runs: a second upload of the same file to the same place notes nothing, and begins for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path

from yarl import URL

__all__ = ["UploadNote"]

# Addresses of uploads are capabilities: who knows one may go on with it.
NOTE_MODE = 0o600
NOTE_BYTES_MAX = 64 << 10


class UploadNote:
    """Blocking; for one thread at a time. `close` it at the end, whatever has happened."""

    def __init__(self, folder: Path, digest: str, repository: URL) -> None:
        place = hashlib.sha256(str(repository).encode()).hexdigest()[:16]
        self._path = folder / f"{digest.replace(':', '-')}-upload-{place}"
        self._fd = -1

    def open(self) -> URL | None:
        """The address of an upload that was begun, if there is one that nobody is at."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, NOTE_MODE)
        except OSError:
            return None  # A store that only others may write to can be sent all the same.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(fd), os.stat(self._path))
        except OSError:
            is_there = False
        if not is_there:
            os.close(fd)
            return None
        self._fd = fd
        return _address(os.pread(fd, NOTE_BYTES_MAX, 0))

    def save(self, address: URL) -> None:
        if self._fd < 0:
            return
        # Without a note, on a full disk, the upload is only as good as it was without notes.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps({"location": str(address)}).encode(), 0)

    def discard(self) -> None:
        """The upload has come to its end, or there is nothing to go on with."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _address(data: bytes) -> URL | None:
    """None for a note that was torn."""
    try:
        url = URL(json.loads(data)["location"], encoded=True)
    except (ValueError, KeyError, TypeError):
        return None
    return url if url.scheme in ("http", "https") and url.host else None
