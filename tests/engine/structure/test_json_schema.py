"""What a schema may not say, and where that is told. What it may say: tests/native."""

from __future__ import annotations

import json

import pytest

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.structure import Form


def refusal(schema: object) -> str:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    with pytest.raises(InvalidArgument) as error:
        Form("json_schema", text).grammar()
    assert error.value.reason == "INVALID_FORMAT"
    return str(error.value)


def deep(count: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "null"}
    for _ in range(count):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "nope"}, "unrecognized type nope"),
        ({"properties": 1}, "properties must be an object"),
        ({"$ref": "#/nope"}, "cannot resolve $ref #/nope, nope not found"),
        ({"$ref": "http://x/y"}, "only references into the same document"),
        ({"$ref": 1}, "$ref must be a string"),
        ({"properties": {"a": {"not": {}}}}, "error at #/properties/a: not is not supported"),
        ({"type": "object", "patternProperties": {}}, "patternProperties is not supported"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems is not supported"),
        ({"type": "number", "multipleOf": 0.1}, "multipleOf is not supported"),
        ({"type": "number", "minimum": 0.5}, "the bound 0.5 of a number is not supported"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no integer is between"),
        ({"type": "integer", "minimum": "5"}, "minimum must be a number"),
        ({"type": "string", "maxLength": 5000}, "maxLength must be at most 2000"),
        ({"type": "string", "minLength": -1}, "not negative"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength is more than maxLength"),
        ({"type": "string", "pattern": "(?=a)"}, "looking ahead or behind is not supported"),
        ({"type": "string", "pattern": "a", "maxLength": 2}, "only one is supported"),
        ({"enum": []}, "enum must be an array that is not empty"),
        ({"type": "string", "enum": [1]}, "no value of the type"),
        ({"anyOf": []}, "anyOf must be an array of schemas"),
        ({"allOf": [{"const": 1}, {"const": 2}]}, "two different const cannot be combined"),
        ({"allOf": [{"type": "null"}, {"type": "string"}]}, "the types exclude each other"),
        ({"required": ["x"], "additionalProperties": False}, "x is required and not allowed"),
        ({"items": 5}, "a schema must be an object"),
        ({"minItems": 3, "prefixItems": [{}], "items": False}, "minItems is more"),
        (
            {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
            "one that refers to itself",
        ),
        ({"unevaluatedProperties": {}}, "unevaluatedProperties is not supported"),
        ({"type": "object", "propertyNames": False}, "propertyNames is not supported"),
        ({"oneOf": [{"type": "string"}, {"minLength": 2}]}, "oneOf is supported where its parts"),
        ({"oneOf": [{}, {}]}, "0 and 1 may hold at the same time"),
        (deep(100), "nested deeper than 64"),
        ("[1]", "must be an object"),
        ("{", "not JSON"),
        ('{"const": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"title":"' + "x" * 200_000 + '"}', "longer than 131072 characters"),
    ],
)
def test_what_is_not_enforced_is_refused_by_name(schema: object, told: str) -> None:
    assert told in refusal(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"title": "T", "description": "d", "x-mine": {"type": "nope"}, "$schema": "s"},
        {"type": "string", "format": "email"},
        {"type": "array", "uniqueItems": False},
        {"type": "string", "minimum": 5},
        {"$defs": {"a/b": {"type": "null"}}, "$ref": "#/$defs/a~1b"},
        {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
    ],
)
def test_what_says_nothing_about_the_value_is_no_matter(schema: object) -> None:
    assert "root ::= " in Form("json_schema", json.dumps(schema)).grammar().text


def kind(name: object, **more: object) -> dict[str, object]:
    properties = {"kind": {"const": name}, **more}
    return {"type": "object", "properties": properties, "required": ["kind"]}


def closed(*names: str, required: tuple[str, ...] = ()) -> dict[str, object]:
    return {"properties": {name: {} for name in names}, "required": list(required)}


INT, NUM, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}


@pytest.mark.parametrize(
    ("parts", "is_told_apart"),
    [
        ([TEXT, INT, {"type": ["null", "boolean"]}], True),
        ([INT, NUM], False),
        ([{"const": 1}, {"const": True}, {"enum": [2, "1"]}], True),
        ([{"const": 1}, {"enum": [1.0]}], False),
        ([{"const": 1.5}, INT], True),
        ([{"const": "a"}, TEXT], False),
        ([{"type": "integer", "maximum": 4}, {"type": "number", "minimum": 5}], True),
        ([{"type": "integer", "maximum": 5}, {"type": "number", "minimum": 5}], False),
        ([{"type": "string", "maxLength": 1}, {"type": "string", "minLength": 2}], True),
        ([kind("a"), kind("b", x=INT), kind("c")], True),
        ([kind("a"), kind("a", x=INT)], False),
        ([kind("a"), TEXT], True),
        ([closed("a", required=("a",)), closed("b", required=("b",))], True),
        ([closed("a", required=("a",)), closed("b")], False),
        ([closed("a"), closed("b")], False),
        ([{"anyOf": [INT, TEXT]}, {"type": "null"}, {"oneOf": [kind("a"), kind("b")]}], True),
        ([{"anyOf": [INT, TEXT]}, {"enum": ["a"]}], False),
        ([{"$ref": "#/$defs/a"}, {"allOf": [kind("b"), {"title": "B"}]}], True),
        ([{"$ref": "#/$defs/a"}, {"allOf": [kind("a"), {"title": "B"}]}], False),
    ],
)
def test_one_of_is_taken_where_its_parts_exclude_each_other(
    parts: list[object], is_told_apart: bool
) -> None:
    schema = {"oneOf": parts, "$defs": {"a": kind("a")}}
    if is_told_apart:
        assert "root ::= " in Form("json_schema", json.dumps(schema)).grammar().text
    else:
        assert "oneOf is supported where" in refusal(schema)


def test_one_of_with_very_many_parts_is_refused_in_time() -> None:
    assert "oneOf" in refusal({"oneOf": [kind(str(n)) for n in range(400)]})


def test_properties_come_in_the_order_of_the_schema() -> None:
    schema = {"properties": {"z": {}, "a": {}, "m": {}}, "required": ["m"]}
    lines = Form("json_schema", json.dumps(schema)).grammar().text.splitlines()
    names = [name for name in "zam" if any(f"x22{name}\\x22" in line for line in lines)]
    assert names == ["z", "a", "m"]
