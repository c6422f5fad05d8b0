"""Objects of JSON that travel as google.protobuf.Struct."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from google.protobuf import struct_pb2

from . import gojson
from .gofloat import number_text
from .reading import at_most

__all__ = ["DEPTH_MAX", "TooDeep", "struct_json", "struct_of"]

DEPTH_MAX = 30
"""Levels of brackets: the engine takes no more, and protobuf reads little more."""


MEMBERS_MAX = 4_096
"""Of an object itself, not of those in it."""


class TooDeep(gojson.DecodeError):
    """An object is nested too deeply."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} must be nested at most {DEPTH_MAX} levels deep")


def struct_of(field: str) -> Callable[[bytes], struct_pb2.Struct]:
    """A leaf for an object that is called `field`."""

    def leaf(raw: bytes) -> struct_pb2.Struct:
        if raw[0] != ord("{"):
            raise gojson.Mismatch(gojson.kind(raw), "map[string]interface {}")
        try:
            values = msgspec.json.decode(raw)
        except RecursionError:
            raise TooDeep(field) from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise gojson.DecodeError(f"{field} cannot be read: {error}") from None
        if gojson.depth(raw) > DEPTH_MAX:
            raise TooDeep(field)
        at_most(MEMBERS_MAX, field, values)
        struct = struct_pb2.Struct()
        struct.update(values)
        return struct

    return leaf


def struct_json(struct: struct_pb2.Struct) -> dict[str, object]:
    """For an answer. The keys are sorted, since a Struct has no order."""
    return {key: _value(struct.fields[key]) for key in sorted(struct.fields)}


def _value(value: struct_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return struct_json(value.struct_value)
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return msgspec.Raw(number_text(value.number_value))
    return None if kind in (None, "null_value") else getattr(value, kind)
