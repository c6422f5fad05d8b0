"""Whether schemas exclude each other, so that `oneOf` can be read as a choice among them.

A text that is written for one part of `oneOf` must be invalid under all others. It is, for sure,

    if the types differ, or the values of `const` and `enum`;
    of numbers, lengths and counts, if their ranges do not meet;
    of objects, if one must have a property that the other cannot have, or a property that one of
    them must have excludes itself in the other.

Where none of this holds the answer is no, though it may be that no text is valid under both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["Exclusion"]

STEPS_MAX = 20_000
DEPTH_MAX = 8
TYPES = frozenset(["object", "array", "string", "number", "boolean", "null"])
RANGES = {
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
}

Schema = Mapping[str, Any]


class Exclusion:
    """Compares schemas of one document. `plain` resolves `$ref` and `allOf` at a schema's top;
    `types` are those that the grammar of a schema makes."""

    def __init__(
        self, plain: Callable[[object], object], types: Callable[[Schema], Iterable[str]]
    ) -> None:
        self._plain = plain
        self._types = types
        self._steps = 0

    @property
    def is_used_up(self) -> bool:
        """So many steps were taken that the answers are no more than no."""
        return self._steps >= STEPS_MAX

    def excludes(self, a: object, b: object, depth: int = 0) -> bool:
        """Whether every text that the grammar of `a` makes is invalid under `b`."""
        self._steps += 1
        if depth == DEPTH_MAX or self.is_used_up:
            return False
        a, b = self._plain(a), self._plain(b)
        if not isinstance(a, dict) or not isinstance(b, dict):
            return a is False or b is False
        for name in ("anyOf", "oneOf"):
            if isinstance(a.get(name), list):
                return self._without(a, name, b, depth) or all(
                    self.excludes(each, b, depth + 1) for each in a[name]
                )
            if isinstance(b.get(name), list):
                return self._without(a, name, b, depth) or all(
                    self.excludes(a, each, depth + 1) for each in b[name]
                )
        values = _values(a)
        if values is not None:
            return all(_is_refused(value, b) for value in values)
        others = _values(b)
        if others is not None:
            return all(_is_refused(value, a) for value in others)
        made = {_general(each) for each in self._types(a)}
        return all(self._in_kind(kind, a, b, depth) for kind in made & _kinds(b))

    def _without(self, a: Schema, name: str, b: Schema, depth: int) -> bool:
        """By what stands beside anyOf and oneOf alone."""
        rest_a, rest_b = ({key: one[key] for key in one if key != name} for one in (a, b))
        return self.excludes(rest_a, rest_b, depth + 1)

    def _in_kind(self, kind: str, a: Schema, b: Schema, depth: int) -> bool:
        if kind == "object":
            return self._objects(a, b, depth)
        if kind not in RANGES:
            return False
        (low_a, high_a), (low_b, high_b) = (_range(one, kind) for one in (a, b))
        return high_a < low_b or high_b < low_a

    def _objects(self, a: Schema, b: Schema, depth: int) -> bool:
        described_a, described_b = (_mapping(one, "properties") for one in (a, b))
        required_a, required_b = (_names(one, "required") for one in (a, b))
        # The grammar of an object with `properties` makes no others unless it is told to.
        is_closed_a = a.get("additionalProperties", "properties" not in a) is False
        is_closed_b = b.get("additionalProperties") is False and "patternProperties" not in b
        if is_closed_a and any(n not in described_a and n not in required_a for n in required_b):
            return True
        if is_closed_b and any(name not in described_b for name in required_a):
            return True
        return any(
            self.excludes(described_a[name], described_b[name], depth + 1)
            for name in required_a | required_b
            if name in described_a and name in described_b
        )


def _values(schema: Schema) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _is_refused(value: object, schema: Schema) -> bool:
    values = _values(schema)
    if values is not None and _canonical(value) not in [_canonical(each) for each in values]:
        return True
    kind = _kind(value)
    if kind not in _kinds(schema):
        return True
    types = schema.get("type")
    only_integers = types == "integer" or types == ["integer"]
    return only_integers and isinstance(value, float) and value != math.floor(value)


def _canonical(value: object) -> str:
    """Equal for values that JSON Schema takes for equal: 1 and 1.0, but not 1 and true."""
    return json.dumps(_with_integers(value), sort_keys=True)


def _with_integers(value: object) -> object:
    if isinstance(value, float) and value == math.floor(value):
        return int(value)
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _kinds(schema: Schema) -> frozenset[str]:
    """The types that a schema allows; an integer is a number."""
    given = schema.get("type")
    if given is None:
        return TYPES
    types = given if isinstance(given, list) else [given]
    return frozenset(_general(str(each)) for each in types)


def _general(kind: str) -> str:
    return "number" if kind == "integer" else kind


def _range(schema: Schema, kind: str) -> tuple[float, float]:
    low, high = (schema.get(name) for name in RANGES[kind])
    return (
        low if isinstance(low, int | float) else -math.inf,
        high if isinstance(high, int | float) else math.inf,
    )


def _mapping(schema: Schema, name: str) -> Schema:
    found = schema.get(name)
    return found if isinstance(found, dict) else {}


def _names(schema: Schema, name: str) -> set[str]:
    found = schema.get(name)
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
