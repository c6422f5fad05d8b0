"""Headers of GGUF files that were read before: a blob never changes under its name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from llamawire.engine.store.gguf.header import Gguf
from llamawire.engine.store.gguf.reader import read_gguf

__all__ = ["GgufCache"]

ENTRIES_MAX = 64

_Key = tuple[Path, int, int, bool]


class GgufCache:
    """The most recently used headers. Threads may share it."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries: OrderedDict[_Key, Gguf] = OrderedDict()
        self._entries_max = entries_max
        self._lock = threading.Lock()

    def read(self, path: Path, *, only_head: bool = False) -> Gguf:
        """As `read_gguf`, and with its errors. The lock is not held while a file is read."""
        status = path.stat()
        key = (path, status.st_ino, status.st_size, only_head)
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
                return found
        gguf = read_gguf(path, only_head=only_head)
        with self._lock:
            self._entries[key] = gguf
            if len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)
        return gguf
