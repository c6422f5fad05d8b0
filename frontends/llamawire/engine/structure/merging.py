"""Two schemas into one that means both: what `allOf` needs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["Conflict", "merged"]

LARGER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
SMALLER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


class Conflict(ValueError):
    """The two cannot be written as one."""


def merged(
    one: Mapping[str, Any], other: Mapping[str, Any], constraints: Collection[str]
) -> dict[str, Any]:
    """One schema for both. Keywords that are no constraints are the first one's."""
    if _is_closed_otherwise(one, other) or _is_closed_otherwise(other, one):
        raise Conflict("additionalProperties beside properties of another schema is not supported")
    both = dict(one)
    for name, value in other.items():
        if name not in both or name not in constraints:
            both.setdefault(name, value)
        elif json.dumps(both[name]) != json.dumps(value):
            both[name] = _combined(name, both[name], value, constraints)
    return both


def _is_closed_otherwise(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one.get("additionalProperties", True) is True:
        return False
    described = set(one.get("properties", ()))
    return not set(other.get("properties", ())) <= described


def _combined(name: str, one: Any, other: Any, constraints: Collection[str]) -> Any:
    try:
        if name in LARGER:
            return max(one, other)
        if name in SMALLER:
            return min(one, other)
        if name == "required":
            return list(dict.fromkeys([*one, *other]))
        if name == "enum":
            known = [json.dumps(value) for value in other]
            return [value for value in one if json.dumps(value) in known]
        if name == "properties":
            return _properties(one, other, constraints)
        if name == "type":
            return _types(one, other)
    except (TypeError, AttributeError) as error:
        raise Conflict(f"{name} is not what it must be: {error}") from error
    raise Conflict(f"two different {name} cannot be combined")


def _properties(one: Any, other: Any, constraints: Collection[str]) -> dict[str, Any]:
    both = dict(one)
    for name, schema in other.items():
        if name not in both or both[name] is True:
            both[name] = schema
        elif schema is not True:
            both[name] = {"allOf": [both[name], schema]}
    return both


def _types(one: Any, other: Any) -> list[str]:
    first = one if isinstance(one, list) else [one]
    second = other if isinstance(other, list) else [other]
    both = [kind for kind in first if kind in second]
    # Every integer is a number.
    if ("integer" in first and "number" in second) or ("number" in first and "integer" in second):
        both = list(dict.fromkeys([*both, "integer"]))
    if not both:
        raise Conflict("the types exclude each other")
    return both
