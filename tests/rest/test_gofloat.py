"""Lists of numbers are written as one number after the other would be."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.rest.gofloat import number32_text, number_text, vector32_text, vector64_text

FLOATS32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
UNIT = st.floats(-1, 1, width=32)


def joined(texts: list[bytes]) -> bytes:
    return b"[" + b",".join(texts) + b"]"


@given(st.lists(FLOATS32 | UNIT))
def test_a_list_of_float32_is_written_as_its_members_are(values: list[float]) -> None:
    assert vector32_text(values) == joined([number32_text(value) for value in values])


@given(st.lists(FLOATS32 | UNIT))
def test_a_list_of_float64_is_written_as_its_members_are(values: list[float]) -> None:
    assert vector64_text(values) == joined([number_text(value) for value in values])


@given(st.lists(UNIT, min_size=1))
def test_digits_lead_back_to_the_same_float32(values: list[float]) -> None:
    size = len(values)
    back = struct.pack(f"<{size}f", *json.loads(vector32_text(values), parse_int=float))
    assert back == struct.pack(f"<{size}f", *values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, b"0.1"),
        (1 / 3, b"0.33333334"),
        (0.0, b"0"),
        (-0.0, b"-0"),
        (1.0, b"1"),
        (1.5e-6, b"0.0000015"),
        (9.5e-7, b"9.5e-7"),
        (0.001, b"0.001"),
        (1e21, b"1e+21"),
    ],
)
def test_float32_has_the_digits_of_go(value: float, text: bytes) -> None:
    assert vector32_text([value]) == b"[" + text + b"]"
