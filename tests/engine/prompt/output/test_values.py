"""The values in calls: only what can be handed on."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.engine.prompt.output.brackets import JSON, BracketScanner
from llamawire.engine.prompt.output.json_values import as_object, parse_json
from llamawire.engine.prompt.output.literals import read_gemma_calls, read_python_calls

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e300, 1e300)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", 1.0),
        ("7", 7),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 9.223372036854775808e18),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"\\ud83d": ["\\ude00"]}', {"\ufffd": ["\ufffd"]}),
        ('"a\nb"', "a\nb"),
    ],
)
def test_json_is_read_as_it_can_be_handed_on(text: str, expected: object) -> None:
    value = parse_json(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "9" * 400, "9" * 5000, "{", ""])
def test_json_that_cannot_be_handed_on_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@given(OBJECTS)
def test_arguments_may_be_a_text_that_holds_an_object(value: dict[str, object]) -> None:
    assert as_object(json.dumps(value)) == value == as_object(value)


@given(OBJECTS, st.text(), st.data())
def test_the_scanner_ends_where_json_ends(
    value: dict[str, object], after: str, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(text)))
    scanner = BracketScanner(JSON, 64)
    assert scanner.scan(text[:cut], 0) == cut
    assert scanner.scan(text + after, cut) == len(text)
    assert scanner.is_closed


@given(OBJECTS)
def test_python_calls_hold_any_value(value: dict[str, object]) -> None:
    text = f"[f({value!r}), a.b(x = {value!r},)]"
    first, second = read_python_calls(text, 64)
    assert (first.name, first.positional) == ("f", [value])
    assert (second.name, second.arguments) == ("a.b", {"x": value})


@given(st.text(st.sampled_from("call:f(){}[]=,'\"1-.\\ \n<")))
def test_any_text_is_calls_or_a_value_error(text: str) -> None:
    for read in (read_python_calls, read_gemma_calls):
        with contextlib.suppress(ValueError):
            assert all(call.name for call in read(text, 8))


def test_gemma_texts_stand_without_quotes_too() -> None:
    (call,) = read_gemma_calls("call:f{a:b c,d:-1.5,e:<escape>x,{<escape>,g:[]}", 8)
    assert call.arguments == {"a": "b c", "d": -1.5, "e": "x,{", "g": []}
