"""Cuts the first JSON value of a body into members, and finds Go's words for what is wrong with it.

This is the slow way, taken when msgspec has refused a body or cannot tell what Go would make of it.
It knows one error, `DecodeError`, and needs no recursion: a value may be 10,000 levels deep.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from .gotext import quote_byte, unquote_json

__all__ = ["DEPTH_MAX", "DecodeError", "scan"]

# Levels of arrays and objects; Go's decoder has the same limit.
DEPTH_MAX = 10_000

_SPACE = re.compile(rb"[ \t\r\n]*")
_DIGITS = re.compile(rb"[0-9]+")
_INTEGER = re.compile(rb"0|[1-9][0-9]*")
# Never fails and never backtracks: it stops in front of what does not belong to a string.
_STRING_BODY = re.compile(
    rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_LITERALS = {ord(word[:1]): word for word in (b"true", b"false", b"null")}


class DecodeError(Exception):
    """The body is refused; the message is Go's."""


class _State(Enum):
    """What may come next."""

    VALUE = auto()
    FIRST_VALUE = auto()
    KEY = auto()
    FIRST_KEY = auto()
    COLON = auto()
    AFTER_VALUE = auto()


def scan(data: bytes, at: int = 0) -> tuple[int, int, list[tuple[str, bytes]]]:
    """Where the first value begins and ends and, if it is an object, its members in their order.

    What follows the first value is not looked at. A key that comes twice is there twice.
    """
    start = at = _skip_space(data, at)
    if at == len(data):
        raise DecodeError("missing request body")
    members: list[tuple[str, bytes]] = []
    key, value_at = "", 0
    stack = bytearray()
    state = _State.VALUE
    while True:
        if state is _State.AFTER_VALUE:
            if not stack:
                return start, at, members
            if len(stack) == 1 and stack[0] == ord("{") and value_at:
                members.append((key, data[value_at:at]))
                value_at = 0
        at = _skip_space(data, at)
        char = _byte(data, at)
        if state in (_State.VALUE, _State.FIRST_VALUE):
            if len(stack) == 1 and not value_at:
                value_at = at
            state, at = _value(data, at, stack, state)
        elif state in (_State.KEY, _State.FIRST_KEY):
            if char == ord('"'):
                end = _string_end(data, at)
                if len(stack) == 1:
                    key = unquote_json(data[at:end])
                state, at = _State.COLON, end
            elif char == ord("}") and state is _State.FIRST_KEY:
                stack.pop()
                state, at = _State.AFTER_VALUE, at + 1
            else:
                raise _invalid(char, "looking for beginning of object key string")
        elif state is _State.COLON:
            if char != ord(":"):
                raise _invalid(char, "after object key")
            state, at = _State.VALUE, at + 1
        else:
            state, at = _after_value(char, stack), at + 1


def _value(data: bytes, at: int, stack: bytearray, state: _State) -> tuple[_State, int]:
    """Steps into a container, over a scalar, or out of an empty array."""
    char = data[at]
    if char in b"{[":
        if len(stack) == DEPTH_MAX:
            raise _invalid(char, "exceeded max depth")
        stack.append(char)
        return (_State.FIRST_KEY if char == ord("{") else _State.FIRST_VALUE), at + 1
    if char == ord("]") and state is _State.FIRST_VALUE:
        stack.pop()
        return _State.AFTER_VALUE, at + 1
    return _State.AFTER_VALUE, _scalar_end(data, at)


def _after_value(char: int, stack: bytearray) -> _State:
    in_object = stack[-1] == ord("{")
    if char == ord(","):
        return _State.KEY if in_object else _State.VALUE
    if char == ord("}" if in_object else "]"):
        stack.pop()
        return _State.AFTER_VALUE
    raise _invalid(char, f"after {'object key:value pair' if in_object else 'array element'}")


def _scalar_end(data: bytes, at: int) -> int:
    char = data[at]
    if char == ord('"'):
        return _string_end(data, at)
    if char == ord("-") or char in b"0123456789":
        return _number_end(data, at)
    if char in _LITERALS:
        return _literal_end(data, at, _LITERALS[char])
    raise _invalid(char, "looking for beginning of value")


def _string_end(data: bytes, at: int) -> int:
    match = _STRING_BODY.match(data, at + 1)
    end = match.end() if match else at + 1
    char = _byte(data, end)
    if char == ord('"'):
        return end + 1
    if char != ord("\\"):
        raise _invalid(char, "in string literal")
    if _byte(data, end + 1) != ord("u"):
        raise _invalid(data[end + 1], "in string escape code")
    for place in range(end + 2, end + 6):
        if _byte(data, place) not in _HEX:
            raise _invalid(data[place], r"in \u hexadecimal character escape")
    raise AssertionError("the pattern has missed a good escape")


def _number_end(data: bytes, at: int) -> int:
    at += data[at] == ord("-")
    at = _digits_end(data, at, _INTEGER, "in numeric literal")
    if data[at : at + 1] == b".":
        at = _digits_end(data, at + 1, _DIGITS, "after decimal point in numeric literal")
    if data[at : at + 1] in (b"e", b"E"):
        at += 1
        at += _byte(data, at) in b"+-"
        at = _digits_end(data, at, _DIGITS, "in exponent of numeric literal")
    return at


def _digits_end(data: bytes, at: int, pattern: re.Pattern[bytes], where: str) -> int:
    if match := pattern.match(data, at):
        return match.end()
    raise _invalid(_byte(data, at), where)


def _literal_end(data: bytes, at: int, word: bytes) -> int:
    for place, expected in enumerate(word):
        if _byte(data, at + place) != expected:
            where = f"in literal {word.decode()} (expecting {quote_byte(expected)})"
            raise _invalid(data[at + place], where)
    return at + len(word)


def _skip_space(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise DecodeError("unexpected EOF")
    return data[at]


def _invalid(char: int, where: str) -> DecodeError:
    return DecodeError(f"invalid character {quote_byte(char)} {where}")
