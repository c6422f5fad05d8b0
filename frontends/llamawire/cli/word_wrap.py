"""Breaks lines between words while a text is still coming."""

from __future__ import annotations

from rich.cells import cell_len

__all__ = ["WordWrap"]


class WordWrap:
    """Gives back each piece of text with line breaks in it. Nothing waits for the end of a word:
    one that turns out too long for its line is wiped out and written again on the next, with
    escape codes; so this is for terminals only."""

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        return "".join(map(self._character, text))

    def _character(self, character: str) -> str:
        if character == "\n":
            self._column, self._word = 0, ""
            return character
        written = self._column - cell_len(self._word)
        self._word = "" if character.isspace() else self._word + character
        self._column += cell_len(character)
        if self._column <= self._width:
            return character
        if not self._word:
            self._column = 0
            return "\n"
        return self._next_line(written, character)

    def _next_line(self, start: int, character: str) -> str:
        """Moves the word that began at column `start`; one as long as a line is broken."""
        if start == 0:
            self._word, self._column = character, cell_len(character)
            return "\n" + character
        self._column = cell_len(self._word)
        wiped = self._column - cell_len(character)
        return (f"\x1b[{wiped}D\x1b[K" if wiped else "") + "\n" + self._word
