"""Modelfile text to commands.

A command is a line: a word, one blank, the rest. Only quotes make it longer: a value that starts
with `"` or three of them goes on until a line ends with the same. Text after a closing quote on
its line means that the quote did not close there, which is odd and what files rely on. Every
carriage return and every newline ends a line, so that files from Windows count double.
"""

from __future__ import annotations

import codecs
import re

from llamawire.modelfile.errors import ModelfileError
from llamawire.modelfile.modelfile import KEYWORDS, ROLES, Command, Modelfile

__all__ = ["decode", "parse"]

_KEYWORD_ERROR = (
    "command must be one of "
    + ", ".join(f'"{keyword}"' for keyword in KEYWORDS[:-1])
    + f', or "{KEYWORDS[-1]}"'
)
_ROLE_ERROR = 'message role must be one of "system", "user", or "assistant"'

_BLANKS = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[A-Za-z]*")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_]*")
_LINE = re.compile(r"[^\r\n]*")


def parse(text: str | bytes) -> Modelfile:
    """The commands of a Modelfile; bytes are decoded first.

    Names of parameters and their values are not looked at here: see `Modelfile.parameters`.
    Raises ModelfileError, with the line where there is one. Time is linear in the text.
    """
    return _Parser(text if isinstance(text, str) else decode(text)).parse()


def decode(data: bytes) -> str:
    """UTF-8, or UTF-16 if a byte order mark says so; what is invalid becomes U+FFFD."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")


class _Parser:
    """The text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> Modelfile:
        commands = []
        while not self._skip_to_command():
            commands.append(self._command())
        if not any(command.keyword == "from" for command in commands):
            raise ModelfileError("no FROM line")
        return Modelfile(tuple(commands))

    def _skip_to_command(self) -> bool:
        """Passes blanks and comments; true at the end of the text."""
        self._take(_BLANKS)
        while self._peek() == "#":
            self._take(_LINE)
            self._take(_BLANKS)
        return not self._peek()

    def _command(self) -> Command:
        keyword = self._keyword()
        argument = ""
        if keyword == "parameter":
            argument = self._argument(_PARAMETER_NAME)
        elif keyword == "message":
            argument = self._argument(_WORD)
            if argument not in ROLES:
                raise self._error(_ROLE_ERROR)
        return Command(keyword, self._value(), argument)

    def _keyword(self) -> str:
        # The first character is taken unseen: nothing has been read that it could end.
        word = _printable(self._peek())
        self._at += 1
        word += self._take(_WORD)
        if not self._peek():
            raise ModelfileError("unexpected EOF")
        is_ended = self._peek() in " \t"
        self._at += 1
        if not is_ended or word.lower() not in KEYWORDS:
            raise self._error(_KEYWORD_ERROR)
        return word.lower()

    def _argument(self, pattern: re.Pattern[str]) -> str:
        word = self._take(pattern)
        if not self._peek():
            raise ModelfileError("unexpected EOF")
        if self._peek() not in " \t":
            raise ModelfileError(f"unexpected EOF: {word}")
        self._at += 1
        return word

    def _value(self) -> str:
        first = _printable(self._take(_LINE))
        opening = first.strip()
        quote = next((mark for mark in ('"""', '"') if opening.startswith(mark)), "")
        if not quote:
            return opening
        if len(opening) >= 2 * len(quote) and opening.endswith(quote):
            return opening[len(quote) : -len(quote)]
        return self._quoted(first, quote)

    def _quoted(self, first: str, quote: str) -> str:
        """The rest of a value whose quote did not close on its first line."""
        pieces = [first]
        while newline := self._peek():
            self._at += 1
            line = _printable(self._take(_LINE))
            pieces += [newline, line]
            if line.rstrip().endswith(quote):
                return "".join(pieces).strip()[len(quote) : -len(quote)]
        raise ModelfileError("unexpected EOF")

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None  # Each of our patterns matches the empty text.
        self._at = match.end()
        return match[0]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _error(self, text: str) -> ModelfileError:
        passed = self._text[: self._at]
        return ModelfileError(text, 1 + passed.count("\n") + passed.count("\r"))


def _printable(line: str) -> str:
    """The line without what nobody sees, such as zero-width joiners; tabs stay."""
    if line.isprintable():
        return line
    return "".join(char for char in line if char == "\t" or char.isprintable())
