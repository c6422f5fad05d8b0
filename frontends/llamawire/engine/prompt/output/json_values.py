"""Reads the JSON that models write into calls.

Only what can be handed on is accepted: JSON has no NaN and no infinity, protobuf and UTF-8 have no
half of a surrogate pair, and integers beyond 64 bits are floats in most of the clients' languages.
"""

import json
import math
import re
from typing import Final, TypeAlias

from llamawire.engine.prompt.output.brackets import JSON, BracketScanner
from llamawire.engine.prompt.output.limits import DEFAULT_OUTPUT_LIMITS

__all__ = ["JSONObject", "JSONValue", "as_object", "parse_json"]

JSONValue: TypeAlias = object
JSONObject: TypeAlias = dict[str, JSONValue]

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_INTEGER_BITS: Final = 63


def parse_json(text: str) -> JSONValue:
    """The value; ValueError when it is not JSON that can be handed on."""
    try:
        value = _DECODER.decode(text)
        return _whole(value) if _SURROGATE_ESCAPE.search(text) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_object(value: JSONValue) -> JSONObject | None:
    """An object, or a text that holds one: models write arguments either way."""
    if isinstance(value, str):
        scanner = BracketScanner(JSON, DEFAULT_OUTPUT_LIMITS.depth_max)
        scanner.scan(value, 0)
        try:
            value = parse_json(value) if scanner.is_closed else None
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _integer(digits: str) -> int | float:
    number = int(digits)
    return number if number.bit_length() <= _INTEGER_BITS else _finite(digits)


def _no_constant(name: str) -> JSONValue:
    raise ValueError(f"{name} is not JSON")


# Not strict: models leave line breaks in strings as they are.
_DECODER: Final = json.JSONDecoder(
    parse_float=_finite, parse_int=_integer, parse_constant=_no_constant, strict=False
)


def _whole(value: JSONValue) -> JSONValue:
    """The value, its lone surrogates replaced."""
    if isinstance(value, str):
        return _SURROGATE.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub(_REPLACEMENT, key): _whole(item) for key, item in value.items()}
    return value
