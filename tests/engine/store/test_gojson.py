from __future__ import annotations

import pytest

from llamawire.engine.store.gojson import encode, format_float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.9, "0.9"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (123456789.25, "123456789.25"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-2.5e300, "-2.5e+300"),
    ],
)
def test_floats_have_the_form_that_go_gives_them(value: float, text: str) -> None:
    assert format_float(value) == text


def test_strings_escape_what_html_minds() -> None:
    assert encode('<a> & \u2028\u2029 é\x01\b\f\n\x7f"\\') == (
        '"\\u003ca\\u003e \\u0026 \\u2028\\u2029 é\\u0001\\b\\f\\n\x7f\\"\\\\"\n'.encode()
    )


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert encode("a\ud800b") == '"a\ufffdb"\n'.encode()


def test_keys_are_sorted_by_their_bytes_if_asked() -> None:
    value = {"b": {"z": 1, "a": None}, "B": True, "é": [], "\U0001f600": 1, "\uffff": 2}
    assert encode(value, sort_keys=True) == (
        '{"B":true,"b":{"a":null,"z":1},"é":[],"\uffff":2,"\U0001f600":1}\n'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), b"", [{1, 2}]])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="json"):
        encode(value)


def test_a_bottomless_value_is_refused() -> None:
    value: list[object] = []
    for _ in range(2000):
        value = [value]
    with pytest.raises(ValueError, match="deeper"):
        encode(value)
