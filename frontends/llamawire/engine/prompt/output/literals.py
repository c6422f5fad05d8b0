"""Reads calls that are not written in JSON: as Python calls, or in Gemma's notation.

    get_weather(city="Paris", days=[1, 2], units=None)
    get_weather{city:<|"|>Paris<|"|>,days:[1,2],units:null}

The whole text is there, and each character is looked at once. ValueError where it is no call.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llamawire.engine.prompt.output.json_values import JSONObject, JSONValue, parse_json

__all__ = ["LiteralCall", "read_gemma_calls", "read_python_calls"]


@dataclass(frozen=True)
class LiteralCall:
    """A call as it was written; arguments without a name only in Python."""

    name: str
    arguments: JSONObject
    positional: Sequence[JSONValue] = ()


@dataclass(frozen=True)
class Syntax:
    """How the two notations differ."""

    quotes: tuple[str, ...]
    """What strings stand between; of two that begin alike the longer first."""

    has_escapes: bool
    has_bare_text: bool
    """Whether keys, and strings that look like nothing else, stand there without quotes."""


_PYTHON: Final = Syntax(("'''", '"""', "'", '"'), has_escapes=True, has_bare_text=False)
_GEMMA: Final = Syntax(('<|"|>', "<escape>", '"'), has_escapes=False, has_bare_text=True)

_KEYWORD: Final = re.compile(r"([^\W\d]\w*)\s*=(?!=)\s*")
_SPACE: Final = re.compile(r"\s*")
_NAME: Final = re.compile(r"[^\W\d]\w*(?:[.-]\w+)*")
_WORD: Final = re.compile(r"[-+.\w]+")
_BARE: Final = re.compile(r"[^,:{}\[\]<>]+")
_WORDS: Final[Mapping[str, JSONValue]] = {
    "True": True,
    "False": False,
    "None": None,
    "true": True,
    "false": False,
    "null": None,
}
_ESCAPE: Final = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(\n|.))", re.DOTALL
)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}


def read_python_calls(text: str, depth_max: int) -> list[LiteralCall]:
    """The calls on the lines of a text, in a list or not, also as the argument of `print`."""
    reader = _Reader(text, _PYTHON, depth_max)
    is_list = reader.accepts("[")
    calls: list[LiteralCall] = []
    while not reader.is_at_end and not (is_list and reader.accepts("]")):
        calls.append(reader.python_call())
        while reader.accepts(",") or reader.accepts(";"):
            pass
    reader.expect_end()
    return calls


def read_gemma_calls(text: str, depth_max: int) -> list[LiteralCall]:
    """`call:name{…}`, once or several times."""
    reader = _Reader(text, _GEMMA, depth_max)
    calls: list[LiteralCall] = []
    while not reader.is_at_end:
        if reader.accepts("call"):
            reader.expect(":")
        name = reader.name()
        reader.expect("{")
        calls.append(LiteralCall(name, reader.fields("}", depth=1)))
    return calls


class _Reader:
    def __init__(self, text: str, syntax: Syntax, depth_max: int) -> None:
        self._text = text
        self._syntax = syntax
        self._depth_max = depth_max
        self._index = 0
        self._skip_space()

    @property
    def is_at_end(self) -> bool:
        return self._index == len(self._text)

    def accepts(self, token: str) -> bool:
        """Reads the token if it comes next."""
        if not self._text.startswith(token, self._index):
            return False
        self._index += len(token)
        self._skip_space()
        return True

    def expect(self, token: str) -> None:
        if not self.accepts(token):
            raise ValueError(f"expected {token} at {self._index}")

    def expect_end(self) -> None:
        if not self.is_at_end:
            raise ValueError(f"unexpected text at {self._index}")

    def name(self) -> str:
        return self._match(_NAME)

    def python_call(self, depth: int = 0) -> LiteralCall:
        """`name(…)`, where what stands before the last dot is only where the function lives."""
        name = self.name()
        self.expect("(")
        if name == "print" and depth == 0:
            call = self.python_call(depth=1)
            self.expect(")")
            return call
        named: JSONObject = {}
        positional: list[JSONValue] = []
        while not self.accepts(")"):
            if match := _KEYWORD.match(self._text, self._index):
                self._index = match.end()
                named[match[1]] = self.value(1)
            else:
                positional.append(self.value(1))
            self._expect_comma_before(")")
        return LiteralCall(name.removeprefix("default_api."), named, positional)

    def value(self, depth: int) -> JSONValue:
        if depth > self._depth_max:
            raise ValueError("nested too deeply")
        for quote in self._syntax.quotes:
            if self._text.startswith(quote, self._index):
                return self._string(quote)
        if self.accepts("{"):
            return self.fields("}", depth + 1)
        if self.accepts("["):
            return self._items("]", depth + 1)
        if self.accepts("("):
            return self._items(")", depth + 1)
        return self._scalar()

    def fields(self, closing: str, depth: int) -> JSONObject:
        """`key: value, …`; keys are strings or bare."""
        found: JSONObject = {}
        while not self.accepts(closing):
            key = self._key(depth)
            self.expect(":")
            found[key] = self.value(depth)
            self._expect_comma_before(closing)
        return found

    def _key(self, depth: int) -> str:
        is_quoted = self._text.startswith(self._syntax.quotes, self._index)
        if self._syntax.has_bare_text and not is_quoted:
            return self._match(_BARE).strip()
        return str(self.value(depth))

    def _items(self, closing: str, depth: int) -> list[JSONValue]:
        found: list[JSONValue] = []
        while not self.accepts(closing):
            found.append(self.value(depth))
            self._expect_comma_before(closing)
        return found

    def _expect_comma_before(self, closing: str) -> None:
        if not self.accepts(",") and not self._text.startswith(closing, self._index):
            raise ValueError(f"expected , or {closing} at {self._index}")

    def _string(self, quote: str) -> str:
        start = self._index + len(quote)
        end = self._string_end(quote, start)
        text = self._text[start:end]
        self._index = end + len(quote)
        self._skip_space()
        return _ESCAPE.sub(_unescaped, text) if self._syntax.has_escapes else text

    def _string_end(self, quote: str, start: int) -> int:
        if self._syntax.has_escapes:
            for match in re.compile(rf"\\.|{quote}", re.DOTALL).finditer(self._text, start):
                if match[0] == quote:
                    return match.start()
        elif (end := self._text.find(quote, start)) >= 0:
            return end
        raise ValueError(f"a string is not closed: {start}")

    def _scalar(self) -> JSONValue:
        text = self._match(_BARE if self._syntax.has_bare_text else _WORD).strip()
        if text in _WORDS:
            return _WORDS[text]
        try:
            return parse_json(_json_number(text))
        except ValueError:
            if self._syntax.has_bare_text:
                return text
            raise

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._index)
        if not match or not match[0]:
            raise ValueError(f"unexpected text at {self._index}")
        self._index = match.end()
        self._skip_space()
        return match[0]

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._index)
        assert match
        self._index = match.end()


def _unescaped(match: re.Match[str]) -> str:
    digits, char = match[1] or match[2] or match[3], match[4]
    if digits:
        code = int(digits, 16)
        is_character = code <= sys.maxunicode and not 0xD800 <= code < 0xE000
        return chr(code) if is_character else "\N{REPLACEMENT CHARACTER}"
    return _ESCAPED.get(char, char if char in "\\'\"" else match[0])


def _json_number(digits: str) -> str:
    """Python's numbers that JSON writes otherwise: 1_000, +1, .5 and 1."""
    digits = digits.replace("_", "").removeprefix("+")
    digits = re.sub(r"^(-?)\.", r"\g<1>0.", digits)
    return re.sub(r"\.(?=$|[eE])", ".0", digits)
