'''Messages of several lines: from `"""` at the start of one to `"""` at the end of another.'''

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Entry", "Multiline"]

QUOTE = '"""'
# The only command whose text may have several lines.
SYSTEM = "/set system "


@dataclass(frozen=True)
class Entry:
    """What was entered. A message in quotes is never a command."""

    text: str
    is_quoted: bool = False


class Multiline:
    """Takes line after line and says when an entry is complete."""

    def __init__(self) -> None:
        self._lines: list[str] | None = None
        self._prefix = ""

    @property
    def is_open(self) -> bool:
        """More lines are to come."""
        return self._lines is not None

    def reset(self) -> None:
        """Drops what has been entered."""
        self._lines, self._prefix = None, ""

    def feed(self, line: str) -> Entry | None:
        if self._lines is None:
            prefix = SYSTEM if line.startswith(SYSTEM) else ""
            rest = line[len(prefix) :]
            if not rest.startswith(QUOTE):
                return Entry(line)
            self._lines, self._prefix, line = [], prefix, rest[len(QUOTE) :]
        if not line.endswith(QUOTE):
            self._lines.append(line + "\n")
            return None
        text = "".join([*self._lines, line[: -len(QUOTE)]])
        entry = Entry(self._prefix + text, is_quoted=not self._prefix)
        self.reset()
        return entry
