"""Values of parameters as Go's fmt prints them.

Parameters are JSON, so Go has read every number as a float64; that shows in how it prints them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

__all__ = ["literal", "plain"]

_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def plain(value: object) -> str:
    """As `%v`: strings as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        pairs = sorted((str(key), plain(item)) for key, item in value.items())
        return f"map[{' '.join(f'{key}:{item}' for key, item in pairs)}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(plain, value))}]"
    return _scalar(value)


def literal(value: object) -> str:
    """As `%#v`: strings quoted, lists and objects as Go's source has them."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        pairs = sorted((_quoted(str(key)), _inner(item)) for key, item in value.items())
        return f"map[string]interface {{}}{{{', '.join(f'{key}:{item}' for key, item in pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[]interface {{}}{{{', '.join(map(_inner, value))}}}"
    return _scalar(value)


def _inner(value: object) -> str:
    return "interface {}(nil)" if value is None else literal(value)


def _scalar(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _number(value: int | float) -> str:
    """The shortest digits of the float64; with an exponent from a million on and below 0.0001."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    digits = Decimal(repr(abs(number)))
    exponent = digits.adjusted() if number else 0
    if -4 <= exponent < 6:
        return sign + _without_zeros(format(digits, "f"))
    mantissa = _without_zeros(format(digits.scaleb(-exponent), "f"))
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _without_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
