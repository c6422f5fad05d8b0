"""JSON as the Go standard library writes it, to the byte.

A manifest's digest is the hash of its text, so two servers on one folder agree on a model only
if they agree on every comma. Go sorts the keys of maps by their bytes, escapes the characters
that HTML minds, and writes 1.0 as 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

__all__ = ["encode", "format_float"]

# Deeper values than this are refused; it is far below the recursion limit of the interpreter.
DEPTH_MAX = 100

_ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


def encode(value: object, *, sort_keys: bool = False) -> bytes:
    """`value` as compact JSON and a final newline.

    Mappings keep their order, as Go's structs do; with `sort_keys` all of them are sorted by the
    bytes of their keys, as Go's maps are. Raises ValueError for what JSON cannot say: infinities,
    NaN, keys that are not strings, and values nested deeper than DEPTH_MAX.
    """
    return (_encode(value, sort_keys, 0) + "\n").encode()


def format_float(value: float) -> str:
    """The shortest digits that give the same number, in the form that Go chooses."""
    if not math.isfinite(value):
        raise ValueError(f"json: unsupported value: {value}")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        mantissa, _, exponent = f"{Decimal(repr(size)):e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        number = int(exponent)
        return f"{sign}{mantissa}e{'-' if number < 0 else '+'}{abs(number)}"
    digits = format(Decimal(repr(size)), "f")
    return sign + (digits.rstrip("0").rstrip(".") if "." in digits else digits)


def _encode(value: object, sort_keys: bool, depth: int) -> str:
    if depth > DEPTH_MAX:
        raise ValueError(f"json: nested deeper than {DEPTH_MAX}")
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, Mapping):
        return _mapping(value, sort_keys, depth)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_encode(item, sort_keys, depth + 1) for item in value) + "]"
    raise ValueError(f"json: unsupported type: {type(value).__name__}")


def _mapping(value: Mapping[object, object], sort_keys: bool, depth: int) -> str:
    pairs = [(_key(key), item) for key, item in value.items()]
    if sort_keys:
        pairs.sort(key=lambda pair: _utf8(pair[0]))
    members = (f"{_string(key)}:{_encode(item, sort_keys, depth + 1)}" for key, item in pairs)
    return "{" + ",".join(members) + "}"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"json: a key must be a string, not {type(key).__name__}")
    return key


def _string(text: str) -> str:
    clean = _utf8(text).decode()
    return json.dumps(clean, ensure_ascii=False).translate(_ESCAPES)


def _utf8(text: str) -> bytes:
    """The text's bytes; a lone surrogate, which has none, becomes U+FFFD as in Go."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", errors="surrogatepass").decode("utf-16", "replace").encode()
