"""What was typed before, in a file: a JSON string a line, oldest first."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

__all__ = ["HistoryFile"]

ENTRIES_MAX = 100


class HistoryFile(History):
    """Keeps the last entries. A file that cannot be read or written is done without."""

    def __init__(self, path: Path, *, is_enabled: bool = True) -> None:
        super().__init__()
        self._path = path
        self.is_enabled = is_enabled

    def load_history_strings(self) -> Iterable[str]:
        """Newest first, as prompt_toolkit wants them."""
        return reversed(self._read())

    def append_string(self, string: str) -> None:
        if self.is_enabled:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        # Another talk may have written since.
        entries = [*self._read(), string][-ENTRIES_MAX:]
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        with contextlib.suppress(OSError):
            self._write(text)

    def _read(self) -> list[str]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            entries = [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []
        return [entry for entry in entries if isinstance(entry, str)]

    def _write(self, text: str) -> None:
        """The file is whole at any time, and nobody else's to read."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".history-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
