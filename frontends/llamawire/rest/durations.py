"""Durations as clients write them: Go's notation, or a number of seconds."""

from __future__ import annotations

import re
from fractions import Fraction

from . import gojson

__all__ = ["FOR_EVER_NS", "parse_duration", "read_keep_alive", "read_timeout"]

# The longest duration that Go knows, about 292 years; upstream means "for ever" by it.
FOR_EVER_NS = (1 << 63) - 1

_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
       "h": 3600 * 10**9}  # fmt: skip
_CHARS_MAX = 256
# An int64 has no more.
_DIGITS_MAX = 19
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds of e.g. `1h30m` or `-1.5s`. Raises ValueError with Go's words."""
    if len(text) > _CHARS_MAX:
        raise ValueError(f"time: invalid duration {_quote(text[:_CHARS_MAX])}")
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    total, at = Fraction(0), 0
    while True:
        match = _PART.match(body, at)
        if match is None or not (match[1] or match[2]):
            raise ValueError(f"time: invalid duration {_quote(text)}")
        unit = match[3]
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quote(text)}")
        if unit not in _NS:
            raise ValueError(f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")
        if len(match[1]) > _DIGITS_MAX:
            raise ValueError(f"time: invalid duration {_quote(text)}")
        total += (int(match[1] or 0) + _fraction(match[2] or "")) * _NS[unit]
        if total > FOR_EVER_NS:
            raise ValueError(f"time: invalid duration {_quote(text)}")
        at = match.end()
        if at == len(body):
            return -int(total) if text[0] == "-" else int(total)


def _fraction(digits: str) -> Fraction:
    # More digits than a nanosecond of an hour has cannot be told apart.
    digits = digits[:18]
    return Fraction(int(digits or 0), 10 ** len(digits))


def _quote(text: str) -> str:
    """Go's `time` has a quoting of its own: no escapes by name, and bytes beyond ASCII in hex."""
    parts = []
    for char in text:
        if char in '"\\':
            parts.append("\\" + char)
        elif " " <= char < "\x7f":
            parts.append(char)
        else:
            parts.extend(f"\\x{byte:02x}" for byte in char.encode())
    return '"' + "".join(parts) + '"'


def read_keep_alive(raw: bytes) -> int:
    """A leaf for `keep_alive`, in nanoseconds; negative is for ever."""
    value = _read(raw)
    return -1 if value < 0 else value


def read_timeout(raw: bytes) -> int | None:
    """A leaf for `timeout`, in nanoseconds; nothing or less is no limit."""
    try:
        value = _read(raw)
    except gojson.DecodeError as error:
        raise gojson.DecodeError(f"timeout: {error}") from None
    return value if value > 0 else None


def _read(raw: bytes) -> int:
    kind = gojson.kind(raw)
    if kind == "string":
        try:
            return parse_duration(gojson.string(raw))
        except ValueError as error:
            raise gojson.DecodeError(str(error)) from None
    if kind != "number":
        go_type = {"array": "[]interface {}", "object": "map[string]interface {}"}.get(kind, kind)
        raise gojson.DecodeError(f"Unsupported type: '{go_type}'")
    try:
        seconds = gojson.number(raw)
    except gojson.Mismatch as error:
        text = f"json: cannot unmarshal {error.found} into Go value of type {error.expected}"
        raise gojson.DecodeError(text) from None
    if seconds * 10**9 >= FOR_EVER_NS:
        return FOR_EVER_NS
    return max(-1, int(seconds * 10**9)) if seconds >= 0 else -1
