"""Go's values as a template sees them, in Python's types.

    Go                      here
    string                  str
    bool, int, float64      bool, int, float
    map[string]any          dict with str keys
    slice                   list, tuple, or bytes
    struct                  Struct
    nil in an interface     None
    no value at all         NO_VALUE: what a pipeline makes of None

The last two differ: a field of None is an error, a field of NO_VALUE is NO_VALUE again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeGuard

__all__ = [
    "NO_VALUE",
    "JSONMap",
    "JSONSlice",
    "NoValue",
    "Struct",
    "is_slice",
    "is_true",
    "prints_json",
    "type_name",
]


class NoValue(Enum):
    """The type of NO_VALUE."""

    NO_VALUE = "<no value>"


NO_VALUE: Final[Literal[NoValue.NO_VALUE]] = NoValue.NO_VALUE


@dataclass(frozen=True, eq=False)
class Struct:
    """A Go struct: it has these fields and no others."""

    type_name: str
    """For error messages, such as `template.templateMessage`."""

    fields: Mapping[str, object]
    """In Go's order, which is the order they print in."""

    json_fields: Mapping[str, object] | None = None
    """What its JSON has, in order; None for the fields as they are."""

    is_pointer: bool = False

    prints_json: bool = False
    """Whether it has a String method that gives its JSON."""


class JSONMap(dict[str, object]):
    """A map whose String method gives its JSON."""


class JSONSlice(tuple[object, ...]):
    """A slice whose String method gives its JSON; as JSON it is null when empty."""


def prints_json(value: object) -> bool:
    """Whether the value's String method gives its JSON."""
    if isinstance(value, Struct):
        return value.prints_json
    return isinstance(value, (JSONMap, JSONSlice))


def is_slice(value: object) -> TypeGuard[Sequence[object]]:
    """Whether it is one of the types that stand for a slice."""
    return isinstance(value, (list, tuple, bytes))


def is_true(value: object) -> bool:
    """What `if` makes of it: whether it is anything but zero or empty."""
    if value is NO_VALUE:
        return False
    return isinstance(value, Struct) or bool(value)


def type_name(value: object) -> str:
    """Go's name of its type."""
    match value:
        case Struct():
            return "*" + value.type_name if value.is_pointer else value.type_name
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case bytes():
            return "[]uint8"
        case dict():
            return "map[string]interface {}"
    return "[]interface {}" if is_slice(value) else "interface {}"
