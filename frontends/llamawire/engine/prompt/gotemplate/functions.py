"""The functions that a template can call, except `and` and `or`, which do not always want all of
their arguments and so are part of the execution.

A function gets its arguments as Python values (nil is None) and raises `CallError` with Go's words
when they do not suit it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeAlias

from llamawire.engine.prompt.gotemplate.escaping import escape_html, escape_js, escape_query
from llamawire.engine.prompt.gotemplate.gojson import encode_json
from llamawire.engine.prompt.gotemplate.printing import sprint, sprintf, sprintln, text_of
from llamawire.engine.prompt.gotemplate.quoting import from_bytes, to_bytes
from llamawire.engine.prompt.gotemplate.values import Struct, is_slice, is_true, type_name
from llamawire.engine.prompt.limits import Budget

__all__ = ["FUNCTION_NAMES", "SHORT_CIRCUITS", "CallError", "Function", "functions"]

SHORT_CIRCUITS: Final = ("and", "or")

Arguments: TypeAlias = Sequence[object]
_STEPS_PER_VERB: Final = 4

Call: TypeAlias = Callable[[Arguments, Budget], object]


class CallError(Exception):
    """The arguments do not suit the function."""


@dataclass(frozen=True)
class Function:
    """A function, and what it may be called with."""

    call: Call
    arguments_min: int = 0
    arguments_max: int | None = None
    first_is_text: bool = False
    are_texts: bool = False


# Lists, maps and strings.


def _len(arguments: Arguments, budget: Budget) -> object:
    (value,) = arguments
    if isinstance(value, str):
        return len(_units(value, budget))
    if isinstance(value, dict) or is_slice(value):
        return len(value)
    if value is None:
        raise CallError("len of nil pointer")
    raise CallError(f"len of type {type_name(value)}")


def _index(arguments: Arguments, budget: Budget) -> object:
    value, *indexes = arguments
    if value is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        if isinstance(value, dict):
            value = value.get(_map_key(index))
        elif isinstance(value, str) or is_slice(value):
            items = _units(value, budget) if isinstance(value, str) else value
            position = _position(index, len(items))
            if position == len(items):
                raise CallError("reflect: slice index out of range")
            value = ord(items[position]) if isinstance(items, str) else items[position]
        elif value is None:
            raise CallError("index of nil pointer")
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _slice(arguments: Arguments, budget: Budget) -> object:
    value, *indexes = arguments
    if value is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if isinstance(value, str) and len(indexes) == 3:
        raise CallError("cannot 3-index slice a string")
    items = _units(value, budget) if isinstance(value, str) else value
    if not isinstance(items, str) and not is_slice(items):
        raise CallError(f"can't slice item of type {type_name(value)}")
    bounds = [0, len(items)]
    bounds[: len(indexes)] = [_position(index, len(items)) for index in indexes]
    for low, high in itertools.pairwise(bounds):
        if low > high:
            raise CallError(f"invalid slice index: {low} > {high}")
    part = items[bounds[0] : bounds[1]]
    budget.read(len(part))
    return from_bytes(part) if isinstance(value, str) and isinstance(part, bytes) else part


def _units(text: str, budget: Budget) -> str | bytes:
    """What Go would count in the text: bytes, which are the characters when all are ASCII."""
    if text.isascii():
        return text
    budget.read(len(text))
    return to_bytes(text)


def _map_key(index: object) -> str:
    if isinstance(index, str):
        return index
    if index is None:
        raise CallError("value is nil; should be of type string")
    raise CallError(f"value has type {type_name(index)}; should be string")


def _position(index: object, length: int) -> int:
    if index is None:
        raise CallError("cannot index slice/array with nil")
    if not isinstance(index, int) or isinstance(index, bool):
        raise CallError(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= length:
        raise CallError(f"index out of range: {index}")
    return index


# Comparing.


def _basic_kind(value: object) -> type | None:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    return None


def _eq(arguments: Arguments, budget: Budget) -> bool:
    first, *others = arguments
    if not others:
        raise CallError("missing argument for comparison")
    return any(_is_equal(first, other) for other in others)


def _is_equal(first: object, other: object) -> bool:
    kind = _basic_kind(first)
    if kind is not _basic_kind(other):
        if first is None or other is None:
            return False
        raise _incompatible(first, other)
    if kind is not None:
        return first == other
    if first is None or other is None:
        return first is other
    if isinstance(other, Struct) and isinstance(first, Struct):
        return first is other
    raise CallError(f"non-comparable type {text_of(other)}: {type_name(other)}")


def _lt(arguments: Arguments, budget: Budget) -> bool:
    first, second = arguments
    kind = _basic_kind(first)
    if kind is None or _basic_kind(second) is None:
        raise CallError("invalid type for comparison")
    if kind is not _basic_kind(second):
        raise _incompatible(first, second)
    if isinstance(first, str) and isinstance(second, str):
        return first < second if first.isascii() else to_bytes(first) < to_bytes(second)
    if isinstance(first, (int, float)) and isinstance(second, (int, float)) and kind is not bool:
        return first < second
    raise CallError("invalid type for comparison")


def _incompatible(first: object, second: object) -> CallError:
    types = f"{type_name(first)} and {type_name(second)}"
    return CallError(f"incompatible types for comparison: {types}")


def _le(arguments: Arguments, budget: Budget) -> bool:
    return _lt(arguments, budget) or _eq(arguments, budget)


# Making text.


def _maker(make_text: Callable[[Arguments], str]) -> Call:
    """Pays for the text."""

    def call(arguments: Arguments, budget: Budget) -> object:
        text = make_text(arguments)
        budget.compose(len(text))
        return text

    return call


def _printf(arguments: Arguments, budget: Budget) -> object:
    budget.step(_STEPS_PER_VERB * len(arguments))
    return sprintf(str(arguments[0]), arguments[1:], budget.compose)


def _plain(arguments: Arguments) -> str:
    """The one text that an escaping function works on."""
    if len(arguments) == 1:
        return text_of(arguments[0])
    return sprint(["<no value>" if argument is None else argument for argument in arguments])


# Beyond Go's own.


def _type_script_type(value: object) -> str:
    """What TypeScript calls the type of a tool's parameter."""
    if not isinstance(value, Struct):
        return "any"
    alternatives = value.fields.get("AnyOf")
    if is_slice(alternatives) and alternatives:
        return " | ".join(map(_type_script_type, alternatives))
    types = value.fields.get("Type")
    names = [types] if isinstance(types, str) else types if is_slice(types) else ()
    return " | ".join(_TYPE_SCRIPT.get(name, "any") for name in names if name) or "any"


_TYPE_SCRIPT: Final[Mapping[object, str]] = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


def _date_functions(today: Callable[[], date]) -> dict[str, Function]:
    def date_text(days: int) -> Function:
        return Function(
            lambda arguments, budget: (today() + timedelta(days=days)).isoformat(),
            are_texts=True,
        )

    return {"currentDate": date_text(0), "yesterdayDate": date_text(-1)}


# The table.


def _call(arguments: Arguments, budget: Budget) -> object:
    """Nothing that a template is given is a function."""
    if arguments[0] is None:
        raise CallError("call of nil")
    raise CallError(f"non-function of type {type_name(arguments[0])}")


_FUNCTIONS: Final = {
    "call": Function(_call, 1),
    "eq": Function(_eq, 1),
    "ge": Function(lambda arguments, budget: not _lt(arguments, budget), 2, 2),
    "gt": Function(lambda arguments, budget: not _le(arguments, budget), 2, 2),
    "html": Function(_maker(lambda arguments: escape_html(_plain(arguments)))),
    "index": Function(_index, 1),
    "js": Function(_maker(lambda arguments: escape_js(_plain(arguments)))),
    "json": Function(_maker(lambda arguments: encode_json(arguments[0])), 1, 1),
    "le": Function(_le, 2, 2),
    "len": Function(_len, 1, 1),
    "lt": Function(_lt, 2, 2),
    "ne": Function(lambda arguments, budget: not _eq(arguments, budget), 2, 2),
    "not": Function(lambda arguments, budget: not is_true(arguments[0]), 1, 1),
    "print": Function(_maker(sprint)),
    "printf": Function(_printf, 1, first_is_text=True),
    "println": Function(_maker(sprintln)),
    "slice": Function(_slice, 1),
    "toTypeScriptType": Function(lambda arguments, budget: _type_script_type(arguments[0]), 1, 1),
    "urlquery": Function(_maker(lambda arguments: escape_query(_plain(arguments)))),
}

FUNCTION_NAMES: Final = frozenset((*_FUNCTIONS, *SHORT_CIRCUITS, "currentDate", "yesterdayDate"))


def functions(today: Callable[[], date]) -> Mapping[str, Function]:
    """All functions but the SHORT_CIRCUITS; `today` says what day it is."""
    return {**_FUNCTIONS, **_date_functions(today)}
