"""The store's lock: one writer at a time, among threads and among processes.

Everything that replaces or removes a manifest and then counts who uses a blob happens under it,
in one short step; slow work such as hashing and downloading stays outside. With one lock for all
names nothing can be locked in the wrong order, and a name cannot change its spelling meanwhile.
Ollama knows nothing of this lock; against it there is only the order: blobs first, manifest last.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamawire.engine.store.errors import StoreBusy

__all__ = ["StoreLock"]

WAIT_S = 60.0
POLL_S = 0.01


class StoreLock:
    """A lock that is a file. It is not reentrant."""

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._wait_s = wait_s
        self._threads = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock for the block. Raises StoreBusy if it does not come free in time."""
        deadline = time.monotonic() + self._wait_s
        if not self._threads.acquire(timeout=self._wait_s):
            raise self._busy()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock_file(handle, deadline)
                yield
            finally:
                os.close(handle)  # This lets go of the file's lock, too.
        finally:
            self._threads.release()

    def _lock_file(self, handle: int, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._busy() from None
            time.sleep(POLL_S)

    def _busy(self) -> StoreBusy:
        return StoreBusy(f"another process has held {self._path} for {self._wait_s:g} s")
