"""Sets of characters, and how GBNF writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ANY", "Characters", "literal"]

LAST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of code points: ranges in rising order, none touching the next."""

    ranges: tuple[tuple[int, int], ...]

    @staticmethod
    def of(text: str) -> Characters:
        return Characters.between(*((ord(c), ord(c)) for c in text))

    @staticmethod
    def between(*ranges: tuple[int, int]) -> Characters:
        """The union of ranges in any order, both ends included."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return Characters(tuple(merged))

    def __or__(self, other: Characters) -> Characters:
        return Characters.between(*self.ranges, *other.ranges)

    def __sub__(self, other: Characters) -> Characters:
        left: list[tuple[int, int]] = []
        for low, high in self.ranges:
            start = low
            for cut_low, cut_high in other.ranges:
                if cut_high < start or cut_low > high:
                    continue
                if cut_low > start:
                    left.append((start, cut_low - 1))
                start = cut_high + 1
            if start <= high:
                left.append((start, high))
        return Characters(tuple(left))

    def __and__(self, other: Characters) -> Characters:
        return self - (self - other)

    def __contains__(self, character: str) -> bool:
        return any(low <= ord(character) <= high for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def gbnf(self) -> str:
        """A class of GBNF. Not for the empty set, which GBNF cannot write."""
        if self == ANY:
            return "."
        return "[" + "".join(_range(low, high) for low, high in self.ranges) + "]"


def literal(text: str) -> str:
    """A text of GBNF."""
    return '"' + "".join(_character(ord(c), plain=_LITERAL) for c in text) + '"'


def _range(low: int, high: int) -> str:
    first = _character(low, plain=_CLASS)
    return first if low == high else f"{first}-{_character(high, plain=_CLASS)}"


def _character(code: int, *, plain: Iterable[str]) -> str:
    if chr(code) in plain:
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CLASS = _WORD
_LITERAL = _WORD | frozenset(" {}[]():;,.<>/!?#$%&'*+-=@|~`^")

ANY = Characters(((1, SURROGATES[0] - 1), (SURROGATES[1] + 1, LAST)))
"""Every character that a model can write: no NUL, no halves of surrogate pairs."""
