"""Finds the bracket that closes the first one, in a text that comes in pieces.

Each character is looked at once. What the scanner has to remember between two pieces is how deep
it is and whether it is in a string.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["JSON", "PYTHON", "BracketScanner", "Notation"]

_CLOSING: Final = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True)
class Notation:
    """What a scanner must not miss."""

    quotes: str
    outside: re.Pattern[str]
    """Brackets and quotes, and what cannot stand outside of a string."""


JSON: Final = Notation('"', re.compile(r'["{}\[\]<]'))
PYTHON: Final = Notation("\"'", re.compile(r"""["'{}\[\]()]"""))

_INSIDE: Final = {quote: re.compile(rf"[{quote}\\]") for quote in "\"'"}


class BracketScanner:
    """Begins at a bracket; `is_closed` when that is closed, `is_broken` when it never will be."""

    __slots__ = ("_depth_max", "_expected", "_is_escaped", "_notation", "_quote", "is_broken")

    def __init__(self, notation: Notation, depth_max: int) -> None:
        self._notation = notation
        self._depth_max = depth_max
        self._expected: list[str] | None = None
        self._quote = ""
        self._is_escaped = False
        self.is_broken = False

    @property
    def is_closed(self) -> bool:
        return self._expected == [] and not self.is_broken

    @property
    def missing(self) -> str:
        """The brackets that would close it where it stands; "" within a string."""
        return "" if self._quote else "".join(reversed(self._expected or []))

    def scan(self, text: str, start: int) -> int:
        """Goes on at `start`; gives back how far it got, which is not past the closing bracket."""
        index = start
        while index < len(text) and not (self.is_broken or self.is_closed):
            index = self._in_string(text, index) if self._quote else self._outside(text, index)
        return index

    def _in_string(self, text: str, index: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            return index + 1
        match = _INSIDE[self._quote].search(text, index)
        if not match:
            return len(text)
        if match[0] == "\\":
            self._is_escaped = True
        else:
            self._quote = ""
        return match.end()

    def _outside(self, text: str, index: int) -> int:
        match = self._notation.outside.search(text, index)
        if not match:
            return len(text)
        char = match[0]
        self._expected = [] if self._expected is None else self._expected
        if char in self._notation.quotes:
            self._quote = char
        elif char in _CLOSING:
            self._expected.append(_CLOSING[char])
            self.is_broken = len(self._expected) > self._depth_max
        elif self._expected and char == self._expected[-1]:
            self._expected.pop()
        else:
            self.is_broken = True
            return match.start()
        return match.end()
