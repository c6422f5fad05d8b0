"""google.protobuf.Struct as the values of JSON that it stands for."""

from __future__ import annotations

import math

from google.protobuf.struct_pb2 import Struct, Value

from llamawire.engine.errors import InvalidArgument

__all__ = ["DEPTH_MAX", "struct_values"]

DEPTH_MAX = 30
"""Levels of objects and lists in a Struct. Each is up to three messages, of which protobuf reads
100 within each other; so what comes through one door could have come through the other."""

MEMBERS_MAX = 4_096
"""Of the Struct itself, not of those in it."""


def struct_values(struct: Struct, field: str) -> dict[str, object]:
    """The Struct's values; whole numbers become ints again, as JSON had them.

    Its keys come in any order, in another one in each process; sorted, a conversation renders alike
    every time, and is found in the prefix cache. InvalidArgument names the place of a number that
    JSON lacks, and `field` where it is nested too deeply.
    """
    if len(struct.fields) > MEMBERS_MAX:
        raise InvalidArgument(f"{field} must be at most {MEMBERS_MAX}", field=field)
    return _Reading(field).members(struct, field, 1)


class _Reading:
    def __init__(self, field: str) -> None:
        self._field = field

    def members(self, struct: Struct, path: str, level: int) -> dict[str, object]:
        fields = struct.fields
        return {key: self._value(fields[key], f"{path}.{key}", level) for key in sorted(fields)}

    def _value(self, value: Value, path: str, level: int) -> object:
        kind = value.WhichOneof("kind")
        if kind == "number_value":
            return _number(value.number_value, path)
        if kind not in ("struct_value", "list_value"):
            return None if kind in (None, "null_value") else getattr(value, kind)
        if level == DEPTH_MAX:
            raise InvalidArgument(
                f"{self._field} must be nested at most {DEPTH_MAX} levels deep", field=self._field
            )
        if kind == "struct_value":
            return self.members(value.struct_value, path, level + 1)
        return [
            self._value(each, f"{path}[{index}]", level + 1)
            for index, each in enumerate(value.list_value.values)
        ]


def _number(number: float, path: str) -> int | float:
    if not math.isfinite(number):
        raise InvalidArgument(f"{path} must be a number of JSON, not {number}", field=path)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
