"""JSON Schema to GBNF: every text that the grammar takes is valid under the schema.

Not every valid text is taken. A schema with `properties` is closed unless it says
`additionalProperties`; properties come in the order of the schema; items of `prefixItems` are all
there; the parts of `oneOf` must exclude each other (exclusion.py); numbers have at most 16 digits,
blank space is short. Keywords that would not be enforced are refused by name and place, unknown
ones are ignored, as are annotations and a `format` that is not date, time, date-time or uuid.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from llamawire.engine.structure.errors import REPETITIONS_MAX, invalid_format
from llamawire.engine.structure.exclusion import Exclusion
from llamawire.engine.structure.grammar import Grammar, Rules
from llamawire.engine.structure.json_rules import builtin, json_literal, key, listed, other_key
from llamawire.engine.structure.merging import Conflict, merged
from llamawire.engine.structure.numbers import integer_range, number_range
from llamawire.engine.structure.regex import pattern_expression

__all__ = ["json_grammar", "schema_grammar"]

SCHEMA_CHARS_MAX = 131_072
SCHEMA_NESTING_MAX = 64
SCHEMA_NODES_MAX = 10_000
BOUND_MAX = 10**18

Schema = Mapping[str, Any]

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
FORMATS = ("date", "time", "date-time", "uuid")
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# The keywords of a type that are enforced, and those that are known and are not.
ENFORCED = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": BOUNDS,
    "number": BOUNDS,
    "boolean": (),
    "null": (),
}
REFUSED = {
    "object": (
        "patternProperties", "propertyNames", "minProperties", "maxProperties",
        "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties",
    ),
    "array": (
        "contains", "minContains", "maxContains", "uniqueItems", "unevaluatedItems",
        "additionalItems",
    ),
    "string": (),
    "integer": ("multipleOf",),
    "number": ("multipleOf",),
    "boolean": (),
    "null": (),
}  # fmt: skip
# Of these, false asks for what is done anyway: what a schema does not describe does not come.
OFF_IF_FALSE = ("uniqueItems", "additionalItems", "unevaluatedItems", "unevaluatedProperties")
REFUSED_ANYWHERE = ("not", "if", "then", "else", "$dynamicRef", "$recursiveRef")
CONSTRAINTS = frozenset(
    ["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"]
    + [name for names in (*ENFORCED.values(), *REFUSED.values()) for name in names]
)


def json_grammar() -> Grammar:
    """Any JSON object."""
    rules = Rules()
    rules.define("root", builtin(rules, "object"))
    return Grammar(rules.text())


def schema_grammar(text: str) -> Grammar:
    """The grammar of a JSON Schema document."""
    if len(text) > SCHEMA_CHARS_MAX:
        raise invalid_format(f"JSON schema: longer than {SCHEMA_CHARS_MAX} characters")
    try:
        schema = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid_format(f"JSON schema: not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise invalid_format("JSON schema: must be an object")
    try:
        return _Converter(schema).grammar()
    except UnicodeError as error:
        raise invalid_format(f"JSON schema: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class _Converter:
    """Translates one document. A method gives the expression of what it was asked for."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._rules = Rules()
        self._references: dict[str, str] = {}
        self._depth = 0
        self._nodes = 0

    def grammar(self) -> Grammar:
        self._rules.define("root", self._visit(self._document, "#"))
        return Grammar(self._rules.text())

    def _visit(self, schema: object, path: str) -> str:
        self._nodes += 1
        if self._depth == SCHEMA_NESTING_MAX:
            _fail(path, f"nested deeper than {SCHEMA_NESTING_MAX}")
        if self._nodes > SCHEMA_NODES_MAX:
            _fail(path, f"more than {SCHEMA_NODES_MAX} schemas")
        if schema is True:
            return builtin(self._rules, "value")
        if not isinstance(schema, dict):
            _fail(path, "a schema must be an object")
        self._depth += 1
        try:
            return self._expression(schema, path)
        finally:
            self._depth -= 1

    def _expression(self, schema: Schema, path: str) -> str:
        for name in REFUSED_ANYWHERE:
            if name in schema:
                _fail(path, f"{name} is not supported")
        if "$ref" in schema and not self._is_beside(schema, "$ref"):
            return self._reference(schema["$ref"], path)
        if "$ref" in schema or "allOf" in schema:
            return self._visit(self._all_of(schema, path), path)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._any_of(schema, name, path)
        if "const" in schema or "enum" in schema:
            return self._values(schema, path)
        if not any(name in CONSTRAINTS for name in schema):
            return builtin(self._rules, "value")
        types = _types(schema, path)
        for kind in types:
            for name in REFUSED[kind]:
                if name in schema and not (name in OFF_IF_FALSE and schema[name] is False):
                    _fail(path, f"{name} is not supported")
        return _choice([getattr(self, f"_{kind}")(schema, path) for kind in types])

    # ---- combinations ------------------------------------------------------------------------

    def _is_beside(self, schema: Schema, name: str) -> bool:
        return any(other in CONSTRAINTS for other in schema if other != name)

    def _reference(self, reference: object, path: str) -> str:
        target = self._target(reference, path)
        assert isinstance(reference, str)
        if reference not in self._references:
            name = self._references[reference] = self._rules.reserve()
            self._rules.define(name, self._visit(target, reference))
        return self._references[reference]

    def _target(self, reference: object, path: str) -> object:
        if not isinstance(reference, str):
            _fail(path, "$ref must be a string")
        if reference != "#" and not reference.startswith("#/"):
            _fail(path, f"$ref {reference}: only references into the same document are supported")
        found: Any = self._document
        for step in reference.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            else:
                _fail(path, f"cannot resolve $ref {reference}, {step} not found")
        return found

    def _all_of(self, schema: Schema, path: str) -> Schema:
        """One schema in place of `$ref` and `allOf` and what stands beside them."""
        rest = {name: value for name, value in schema.items() if name not in ("$ref", "allOf")}
        parts: list[object] = []
        if "$ref" in schema:
            parts.append(self._target(schema["$ref"], path))
        if "allOf" in schema:
            parts.extend(_schemas(schema, "allOf", path))
        found: Schema = rest
        for part in parts:
            found = self._merged(found, part, path)
        return found

    def _merged(self, schema: Schema, part: object, path: str) -> Schema:
        if part is True:
            return schema
        if not isinstance(part, dict):
            _fail(path, "a schema must be an object")
        self._nodes += 1
        if self._depth == SCHEMA_NESTING_MAX or self._nodes > SCHEMA_NODES_MAX:
            _fail(path, "too many schemas in allOf, or one that refers to itself")
        if "$ref" in part or "allOf" in part:
            self._depth += 1
            part = self._all_of(part, path)
            self._depth -= 1
        try:
            return merged(schema, part, CONSTRAINTS)
        except Conflict as error:
            _fail(path, f"allOf: {error}")

    def _any_of(self, schema: Schema, name: str, path: str) -> str:
        rest = {other: value for other, value in schema.items() if other != name}
        is_beside = self._is_beside(rest, "")
        parts = [
            (index, self._merged(rest, each, path) if is_beside else each)
            for index, each in enumerate(_schemas(schema, name, path))
            if each is not False
        ]
        if not parts:
            _fail(path, f"{name} allows nothing")
        if name == "oneOf":
            self._check_exclusion(parts, path)
        return _choice([self._visit(one, f"{path}/{name}/{index}") for index, one in parts])

    def _check_exclusion(self, parts: list[tuple[int, object]], path: str) -> None:
        """What is written for one part may not be valid under another."""
        exclusion = Exclusion(
            lambda schema: self._plain(schema, path), lambda schema: _types(schema, path)
        )
        for (first, a), (second, b) in itertools.combinations(parts, 2):
            if exclusion.is_used_up:
                _fail(path, "oneOf has too many parts to tell them apart; anyOf takes them")
            if not (exclusion.excludes(a, b) and exclusion.excludes(b, a)):
                _fail(
                    path,
                    f"oneOf is supported where its parts exclude each other, and {first} and "
                    f"{second} may hold at the same time; a required property with another const "
                    "in each tells them apart, and anyOf takes them as they are",
                )

    def _plain(self, schema: object, path: str) -> object:
        """The schema without references and allOf."""
        if not isinstance(schema, dict) or not ("$ref" in schema or "allOf" in schema):
            return schema
        nodes = self._nodes
        try:
            return self._all_of(schema, path)
        finally:
            self._nodes = nodes  # nothing of it goes into the grammar

    def _values(self, schema: Schema, path: str) -> str:
        values = [schema["const"]] if "const" in schema else schema["enum"]
        if not isinstance(values, list) or not values:
            _fail(path, "enum must be an array that is not empty")
        if "const" in schema and "enum" in schema:
            values = [value for value in values if _is_among(value, schema["enum"])]
        if "type" in schema:
            types = _types(schema, path)
            values = [value for value in values if any(_is_of(value, kind) for kind in types)]
        beside = [n for n in schema if n in CONSTRAINTS and n not in ("const", "enum", "type")]
        if beside:
            _fail(path, f"{beside[0]} beside const or enum is not supported")
        if not values:
            _fail(path, "const and enum have no value of the type")
        return _choice([json_literal(value) for value in values])

    # ---- types -------------------------------------------------------------------------------

    def _object(self, schema: Schema, path: str) -> str:
        rules = self._rules
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict):
            _fail(path, "properties must be an object")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            _fail(path, "required must be an array of strings")
        is_open = "properties" not in schema and "unevaluatedProperties" not in schema
        additional = schema.get("additionalProperties", is_open)
        if not isinstance(additional, bool | dict):
            _fail(path, "additionalProperties must be a boolean or a schema")
        if not properties and not required and additional is True:
            return builtin(rules, "object")
        # A name that is required and not described is one of the additional properties.
        for name in required:
            if name not in properties and additional is False and "additionalProperties" in schema:
                _fail(path, f"{name} is required and not allowed")
        extra = {name: additional or {} for name in required if name not in properties}
        members = {
            name: f"{key(rules, name)} {self._member(each, path, name)}"
            for name, each in {**properties, **extra}.items()
            if each is not False or name in required
        }
        return self._members(members, set(required), additional, path, list(properties))

    def _member(self, schema: object, path: str, name: str) -> str:
        return self._rules.add(self._visit(schema, f"{path}/properties/{name}"))

    def _members(
        self,
        members: Mapping[str, str],
        required: set[str],
        additional: bool | Schema,
        path: str,
        described: list[str],
    ) -> str:
        """From the last member to the first: what may follow if it is the first one, and if it
        is not."""
        rules = self._rules
        ws = builtin(rules, "ws")
        first = more = '""'
        if additional is not False:
            value = rules.add(self._visit(additional, f"{path}/additionalProperties"))
            names = [*described, *members]
            other = other_key(rules, names) if names else builtin(rules, "string")
            member = rules.add(f'{other} ":" {ws} {value}')
            first = rules.add(f'({member} ("," {ws} {member})*)?')
            more = rules.add(f'("," {ws} {member})*')
        for name, member in reversed(list(members.items())):
            is_required = name in required
            after = more
            first = rules.add(f"{member} {after}" + ("" if is_required else f" | {first}"))
            more = rules.add(f'"," {ws} {member} {after}' + ("" if is_required else f" | {after}"))
        return f'"{{" {ws} {first} {ws} "}}"'

    def _array(self, schema: Schema, path: str) -> str:
        rules = self._rules
        ws = builtin(rules, "ws")
        prefix = schema.get("prefixItems", [])
        is_open = "prefixItems" not in schema and "unevaluatedItems" not in schema
        items = schema.get("items", is_open)
        if isinstance(items, list):  # as it was before 2020
            prefix, items = items, False
        if not isinstance(prefix, list):
            _fail(path, "prefixItems must be an array of schemas")
        least = _count(schema, "minItems", path) or 0
        most = _count(schema, "maxItems", path)
        if items is False and least > len(prefix) and not {"items", "unevaluatedItems"} & {*schema}:
            items = True
        if items is False:
            most = len(prefix) if most is None else min(most, len(prefix))
        if most is not None and most < least:
            _fail(path, "minItems is more than there can be")
        shown = prefix if most is None else prefix[:most]
        parts = [
            rules.add(self._visit(each, f"{path}/prefixItems/{index}"))
            for index, each in enumerate(shown)
        ]
        rest = None if most is None else most - len(shown)
        if rest != 0:
            item = rules.add(self._visit(items, f"{path}/items"))
            low = max(least - len(shown), 0)
            if not parts:
                return f'"[" {ws} {listed(rules, item, low, rest)} {ws} "]"'
            further = f'("," {ws} {item}){{{low},{"" if rest is None else rest}}}'
            parts[-1] += f" {further}"
        between = f' "," {ws} '
        return f'"[" {ws} {between.join(parts) or _EMPTY} {ws} "]"'

    def _string(self, schema: Schema, path: str) -> str:
        rules = self._rules
        least = _count(schema, "minLength", path) or 0
        most = _count(schema, "maxLength", path)
        has_length = least > 0 or most is not None
        pattern, format_ = schema.get("pattern"), schema.get("format")
        has_format = format_ in FORMATS
        if (pattern is not None) + has_format + has_length > 1:
            _fail(path, "of pattern, format and minLength or maxLength only one is supported")
        if pattern is not None:
            if not isinstance(pattern, str):
                _fail(path, "pattern must be a string")
            inside = pattern_expression(pattern)
            if " char" in inside or inside.startswith("char"):
                builtin(rules, "char")
            return f'"\\"" {inside} "\\""'
        if has_format:
            return f'"\\"" {builtin(rules, str(format_))} "\\""'
        if not has_length:
            return builtin(rules, "string")
        if most is not None and most < least:
            _fail(path, "minLength is more than maxLength")
        inside = f"{builtin(rules, 'char')}{{{least},{'' if most is None else most}}}"
        return f'"\\"" {inside if most != 0 else _EMPTY} "\\""'

    def _integer(self, schema: Schema, path: str) -> str:
        low, above_low = _bound(schema, "minimum", "exclusiveMinimum", max, path)
        high, below_high = _bound(schema, "maximum", "exclusiveMaximum", min, path)
        if low is None and high is None:
            return builtin(self._rules, "integer")
        first = None if low is None else math.ceil(low) + (above_low and low == math.ceil(low))
        last = (
            None if high is None else math.floor(high) - (below_high and high == math.floor(high))
        )
        if first is not None and last is not None and first > last:
            _fail(path, "no integer is between minimum and maximum")
        return integer_range(first, last)

    def _number(self, schema: Schema, path: str) -> str:
        low, above_low = _bound(schema, "minimum", "exclusiveMinimum", max, path)
        high, below_high = _bound(schema, "maximum", "exclusiveMaximum", min, path)
        if low is None and high is None:
            return builtin(self._rules, "number")
        for value in (low, high):
            if value is not None and value != int(value):
                _fail(path, f"the bound {value} of a number is not supported; it must be whole")
        is_narrow = low is not None and high is not None and low >= high
        if is_narrow and (low != high or above_low or below_high):
            _fail(path, "no number is between minimum and maximum")
        return number_range(
            None if low is None else int(low),
            None if high is None else int(high),
            above_low=above_low,
            below_high=below_high,
        )

    def _boolean(self, schema: Schema, path: str) -> str:
        return builtin(self._rules, "boolean")

    def _null(self, schema: Schema, path: str) -> str:
        return builtin(self._rules, "null")


_EMPTY = '""'


def _fail(path: str, what: str) -> NoReturn:
    raise invalid_format(f"JSON schema error at {path}: {what}")


def _choice(ways: list[str]) -> str:
    ways = list(dict.fromkeys(ways))
    return ways[0] if len(ways) == 1 else "(" + " | ".join(ways) + ")"


def _types(schema: Schema, path: str) -> list[str]:
    """The types that a schema allows; where it names none, those that its keywords are about."""
    given = schema.get("type")
    if given is None:
        found = [
            kind for kind in TYPES if any(n in schema for n in (*ENFORCED[kind], *REFUSED[kind]))
        ]
        if "format" in schema and schema["format"] not in FORMATS and found == ["string"]:
            found = (
                [] if not any(n in schema for n in ("minLength", "maxLength", "pattern")) else found
            )
        return [kind for kind in found if kind != "integer"] or list(TYPES)
    types = given if isinstance(given, list) else [given]
    if not types:
        _fail(path, "type must not be empty")
    for kind in types:
        if kind not in TYPES:
            _fail(path, f"unrecognized type {kind}")
    return types


def _schemas(schema: Schema, name: str, path: str) -> list[object]:
    found = schema[name]
    if not isinstance(found, list) or not found:
        _fail(path, f"{name} must be an array of schemas that is not empty")
    return found


def _count(schema: Schema, name: str, path: str) -> int | None:
    value = schema.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        _fail(path, f"{name} must be a whole number")
    if value < 0:
        _fail(path, f"{name} must be a whole number that is not negative")
    if value > REPETITIONS_MAX:
        _fail(path, f"{name} must be at most {REPETITIONS_MAX}")
    return int(value)


def _bound(
    schema: Schema, name: str, exclusive: str, stricter: Any, path: str
) -> tuple[int | float | None, bool]:
    """The bound of a number, and whether it is left out itself."""
    inside = _number_of(schema, name, path)
    outside = schema.get(exclusive)
    if isinstance(outside, bool):  # as it was before 2019
        return inside, outside and inside is not None
    outside = _number_of(schema, exclusive, path)
    if outside is None:
        return inside, False
    if inside is None or stricter(outside, inside) == outside:
        return outside, True
    return inside, False


def _number_of(schema: Schema, name: str, path: str) -> int | float | None:
    value = schema.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        _fail(path, f"{name} must be a number")
    if abs(value) > BOUND_MAX:
        _fail(path, f"{name} must be between -{BOUND_MAX} and {BOUND_MAX}")
    return value


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number" or (kind == "integer" and value == int(value))
    names = {str: "string", list: "array", dict: "object", type(None): "null"}
    return names[type(value)] == kind


def _is_among(value: object, values: object) -> bool:
    """JSON's equality: true is not 1."""
    return isinstance(values, list) and json.dumps(value) in [json.dumps(each) for each in values]
