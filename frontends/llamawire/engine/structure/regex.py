r"""Regular expressions to GBNF.

The expression is for the whole answer, or, in a schema's `pattern`, for what is inside a string.
Supported: characters, `.`, classes, `\d \w \s` and their opposites (of ASCII), `\t \n \r \f \v
\xHH \uHHHH`, groups with and without a name, `|`, and `* + ? {m} {m,} {m,n}`, lazy ones too, since
laziness does not change what matches. `^` and `$` only at the ends of the whole expression or of
its alternatives. Everything else (looking ahead or behind, references, `\b`, `\p`, flags,
possessive repetition) is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from llamawire.engine.structure.characters import ANY, Characters, literal
from llamawire.engine.structure.errors import REPETITIONS_MAX, invalid_format
from llamawire.engine.structure.grammar import Grammar

__all__ = ["pattern_expression", "regex_grammar"]

REGEX_CHARS_MAX = 16_384
NESTING_MAX = 50
EMPTY_REPETITIONS_MAX = 16

LINE_ENDS = Characters.of("\n\r\u2028\u2029")
DIGITS = Characters.of("0123456789")
WORD = DIGITS | Characters.between((ord("a"), ord("z")), (ord("A"), ord("Z"))) | Characters.of("_")
SPACE = Characters.of(" \t\n\r\f\v\u00a0\ufeff\u2028\u2029")
CLASSES = {
    "d": DIGITS, "D": ANY - DIGITS, "w": WORD, "W": ANY - WORD, "s": SPACE, "S": ANY - SPACE,
}  # fmt: skip
CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
PUNCTUATION = frozenset("^$\\.*+?()[]{}|/-\"' !#%&,:;<=>@_`~")

STRING_CHARACTERS = ANY - Characters.between((0, 0x1F)) - Characters.of('"\\\x7f')
"""What stands in a JSON string as it is."""
ESCAPED = '"\\\b\f\n\r\t'
"""What a JSON string can write with a backslash and one letter."""


def regex_grammar(expression: str) -> Grammar:
    """The grammar of all that the expression matches as a whole."""
    found = _Reader(expression, in_string=False).read()
    return Grammar(f"root ::= {found.text}\n")


def pattern_expression(pattern: str) -> str:
    """The expression of GBNF for the inside of a JSON string that `pattern` is found in."""
    return _Reader(pattern, in_string=True).read().text


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    may_be_empty: bool


class _Reader:
    """Reads an expression from its beginning to its end."""

    def __init__(self, expression: str, *, in_string: bool) -> None:
        self._expression = expression
        self._position = 0
        self._depth = 0
        self._in_string = in_string

    def read(self) -> _Part:
        if len(self._expression) > REGEX_CHARS_MAX:
            raise self._error(f"longer than {REGEX_CHARS_MAX} characters")
        part = self._alternatives(is_outer=True)
        if self._position < len(self._expression):
            raise self._error("a ) without its (")
        return part

    def _error(self, what: str) -> Exception:
        shown = self._expression[:200]
        return invalid_format(f"regex {shown!r}, character {self._position + 1}: {what}")

    def _peek(self, count: int = 1) -> str:
        return self._expression[self._position : self._position + count]

    def _next(self) -> str:
        if not self._peek():
            raise self._error("unexpected end")
        self._position += 1
        return self._expression[self._position - 1]

    def _skip(self, text: str) -> bool:
        if not self._expression.startswith(text, self._position):
            return False
        self._position += len(text)
        return True

    # ---- structure ---------------------------------------------------------------------------

    def _alternatives(self, *, is_outer: bool) -> _Part:
        parts = [self._sequence(is_outer=is_outer)]
        while self._skip("|"):
            parts.append(self._sequence(is_outer=is_outer))
        text = " | ".join(part.text for part in parts)
        return _Part(
            f"({text})" if len(parts) > 1 else text, any(part.may_be_empty for part in parts)
        )

    def _sequence(self, *, is_outer: bool) -> _Part:
        parts: list[_Part] = []
        # A pattern of a schema is searched for, the expression of an answer is all of it.
        anything = _Part(f"{self._class(ANY)}*", True)
        if not (is_outer and self._skip("^")) and is_outer and self._in_string:
            parts.append(anything)
        is_anchored = False
        while self._peek() and self._peek() not in ("|", ")"):
            if is_anchored:
                raise self._error("$ inside the expression is not supported")
            if is_outer and self._skip("$"):
                is_anchored = True
            else:
                parts.append(self._repeated(self._atom()))
        if is_outer and self._in_string and not is_anchored:
            parts.append(anything)
        text = " ".join(part.text for part in parts) or '""'
        return _Part(text, all(part.may_be_empty for part in parts))

    def _repeated(self, part: _Part) -> _Part:
        counts = self._counts()
        if counts is None:
            return part
        least, most, text = counts
        if self._skip("+"):
            raise self._error("possessive repetition is not supported")
        self._skip("?")
        if self._peek() in ("*", "+", "?"):
            raise self._error("two repetitions in a row")
        largest = max(least, most or 0)
        if largest > REPETITIONS_MAX:
            raise self._error(f"more than {REPETITIONS_MAX} repetitions")
        if part.may_be_empty and largest > EMPTY_REPETITIONS_MAX:
            raise self._error(
                f"what may be empty can be repeated at most {EMPTY_REPETITIONS_MAX} times"
            )
        if part.text == '""' or most == 0:
            return _Part('""', True)
        return _Part(f"({part.text}){text}", part.may_be_empty or least == 0)

    def _counts(self) -> tuple[int, int | None, str] | None:
        for mark, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._skip(mark):
                return least, most, mark
        if not self._skip("{"):
            return None
        end = self._expression.find("}", self._position)
        inside = self._expression[self._position : end] if end >= 0 else ""
        first, comma, last = inside.partition(",")
        is_counts = (first + last).isdecimal() and inside.isascii() and len(inside) < 16
        if not is_counts or not first:
            raise self._error("a { that begins no {m}, {m,} or {m,n}; write \\{")
        self._position = end + 1
        most = (int(last) if last else None) if comma else int(first)
        if most is not None and most < int(first):
            raise self._error("a repetition whose limit is below its beginning")
        return int(first), most, f"{{{inside}}}"

    def _atom(self) -> _Part:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _Part(self._class(self._bracket()), False)
        if character == ".":
            return _Part(self._class(ANY - LINE_ENDS), False)
        if character == "\\":
            found = self._escape()
            return _Part(self._class(found), False)
        if character in "*+?{":
            raise self._error("nothing to repeat")
        if character in "^$":
            raise self._error(f"{character} inside the expression is not supported")
        return _Part(self._class(Characters.of(character)), False)

    def _group(self) -> _Part:
        if self._depth == NESTING_MAX:
            raise self._error(f"groups are nested deeper than {NESTING_MAX}")
        if self._skip("?"):
            self._group_kind()
        self._depth += 1
        part = self._alternatives(is_outer=False)
        self._depth -= 1
        if not self._skip(")"):
            raise self._error("a ( without its )")
        return _Part(f"({part.text})", part.may_be_empty)

    def _group_kind(self) -> None:
        if self._skip(":"):
            return
        for name in ("=", "!", "<=", "<!"):
            if self._peek(len(name)) == name:
                raise self._error("looking ahead or behind is not supported")
        if self._skip("P<") or self._skip("<"):
            end = self._expression.find(">", self._position)
            if end > self._position:
                self._position = end + 1
                return
        raise self._error("this kind of group is not supported: (?" + self._peek())

    # ---- characters --------------------------------------------------------------------------

    def _bracket(self) -> Characters:
        is_opposite = self._skip("^")
        ranges: list[tuple[int, int]] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            low = self._member()
            is_range = self._peek() == "-" and self._peek(2) != "-]"
            if not is_range:
                ranges += low.ranges
                continue
            self._next()
            high = self._member()
            if not (_is_one(low) and _is_one(high)) or low.ranges[0][0] > high.ranges[0][0]:
                raise self._error("a range in [] that is none")
            ranges.append((low.ranges[0][0], high.ranges[0][0]))
        self._next()
        found = Characters.between(*ranges)
        return ANY - found if is_opposite else found

    def _member(self) -> Characters:
        character = self._next()
        if character == "[" and self._peek() in (":", "."):
            raise self._error("[: :] classes are not supported")
        return self._escape(in_bracket=True) if character == "\\" else Characters.of(character)

    def _escape(self, *, in_bracket: bool = False) -> Characters:
        letter = self._next()
        if letter in CLASSES:
            return CLASSES[letter]
        if letter in CONTROLS:
            return Characters.of(CONTROLS[letter])
        if in_bracket and letter == "b":
            return Characters.of("\b")
        if letter in ("x", "u"):
            size = 2 if letter == "x" else 4
            digits = self._peek(size)
            try:
                code = int(digits, 16) if len(digits) == size and digits.isalnum() else -1
            except ValueError:
                code = -1
            if code < 0:
                raise self._error(f"\\{letter} needs {size} hex digits")
            self._position += size
            return Characters.between((code, code))
        if letter in PUNCTUATION:
            return Characters.of(letter)
        raise self._error(f"\\{letter} is not supported")

    def _class(self, characters: Characters) -> str:
        """The set as an expression; inside a JSON string some of it needs a backslash."""
        plain = ANY & characters if not self._in_string else STRING_CHARACTERS & characters
        ways = [plain.gbnf()] if plain else []
        if self._in_string:
            escaped = [c for c in ESCAPED if c in characters]
            ways += [literal(json.dumps(c)[1:-1]) for c in escaped]
        if not ways:
            raise self._error("a class without a character that a model can write")
        return ways[0] if len(ways) == 1 else "(" + " | ".join(ways) + ")"


def _is_one(characters: Characters) -> bool:
    return len(characters.ranges) == 1 and characters.ranges[0][0] == characters.ranges[0][1]
