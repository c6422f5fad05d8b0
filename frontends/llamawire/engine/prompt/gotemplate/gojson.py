"""JSON as Go's encoding/json writes it: compact, keys sorted, `<`, `>` and `&` escaped."""

import base64
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from llamawire.engine.prompt.gotemplate.quoting import valid_text
from llamawire.engine.prompt.gotemplate.values import JSONSlice, Struct, is_slice

__all__ = ["encode_json"]

_ESCAPED: Final = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
)


def encode_json(value: object) -> str:
    """The JSON of a value of `values.py`."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def _write(value: object, parts: list[str]) -> None:
    match value:
        case bool():
            parts.append("true" if value else "false")
        case str():
            parts.append(_string(value))
        case float():
            parts.append(_float(value))
        case int():
            parts.append(str(value))
        case bytes():
            parts.append(f'"{base64.b64encode(value).decode()}"')
        case Struct():
            fields = value.fields if value.json_fields is None else value.json_fields
            _write_object(list(fields.items()), parts)
        case dict():
            _write_object(sorted(value.items()), parts)
        case _ if is_slice(value) and not (isinstance(value, JSONSlice) and not value):
            _write_list(value, parts)
        case _:
            parts.append("null")


def _write_object(items: list[tuple[str, object]], parts: list[str]) -> None:
    separator = "{"
    for key, value in items:
        parts += [separator, _string(key), ":"]
        _write(value, parts)
        separator = ","
    parts.append("}" if items else "{}")


def _write_list(items: Sequence[object], parts: list[str]) -> None:
    separator = "["
    for value in items:
        parts.append(separator)
        _write(value, parts)
        separator = ","
    parts.append("]" if items else "[]")


def _string(text: str) -> str:
    return json.dumps(valid_text(text), ensure_ascii=False).translate(_ESCAPED)


def _float(number: float) -> str:
    if not math.isfinite(number):
        return "null"
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        shortest = format(Decimal(repr(number)), "f")
        return shortest.removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
