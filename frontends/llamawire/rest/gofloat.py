"""Floats as Go's JSON encoder writes them: the shortest digits, an exponent only where it is due.

msgspec would write 1.0 as it is and Go writes 1, so these go into an answer as raw JSON.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
import numpy as np

__all__ = ["number32_text", "number_text", "vector32_text", "vector64_text"]

_FLOAT32 = struct.Struct("<f")
_POWERS = np.array([float(f"1e{power}") for power in range(23)])  # All of them exact.
_ENCODER = msgspec.json.Encoder()
_INTEGERS_MAX = 1 << 24  # Below it every integer is a float32, whose digits are its shortest.


def number_text(value: float) -> bytes:
    """A float64. What JSON cannot say is null."""
    if not math.isfinite(value):
        return b"null"
    return _digits(repr(value))


def number32_text(value: float) -> bytes:
    """A float32 that has become a float64 on its way. What JSON cannot say is null."""
    if not math.isfinite(value):
        return b"null"
    if -_INTEGERS_MAX < value < _INTEGERS_MAX and value == int(value) and value != 0:
        return b"%d" % int(value)
    short = (f"{value:.{digits}g}" for digits in range(6, 10))
    return _digits(next((text for text in short if _is_same(text, value)), repr(value)))


def _is_same(text: str, value: float) -> bool:
    try:
        found: float = _FLOAT32.unpack(_FLOAT32.pack(float(text)))[0]
    except OverflowError:
        return False
    return found == value


def _digits(text: str) -> bytes:
    number = Decimal(text)
    size = abs(number)
    sign = "-" if number.is_signed() else ""
    if size == 0 or Decimal("1e-6") <= size < Decimal("1e21"):
        return (sign + _without_zeros(format(size, "f"))).encode()
    exponent = size.adjusted()
    mantissa = _without_zeros(format(size.scaleb(-exponent), "f"))
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}".encode()


def _without_zeros(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def vector32_text(values: Iterable[float]) -> bytes:
    """A list of float32s. All at once, since an answer may hold a hundred thousand.

    Of the decimals with 6 to 9 digits the first that is this float32 is its shortest. The float64
    nearest to it has these very digits, and an encoder for float64 finds them.
    """
    exact = np.array(list(values), np.float32)
    wide = exact.astype(np.float64)
    size = np.abs(wide)
    is_plain = (size > 1e-5) & (size < 1e6) & (wide != np.rint(wide))
    exponent = np.floor(np.log10(np.where(is_plain, size, 1.0))).astype(np.int64)
    short = wide
    for digits in (9, 8, 7, 6):
        scale = _POWERS[digits - 1 - exponent]
        candidate = np.rint(wide * scale) / scale
        short = np.where(candidate.astype(np.float32) == exact, candidate, short)
    return _list_text(short.tolist(), wide.tolist(), is_plain.tolist(), number32_text)


def vector64_text(values: Iterable[float]) -> bytes:
    """A list of float64s."""
    wide = list(values)
    is_plain = [1e-5 < abs(value) < 1e6 and value != int(value) for value in wide]
    return _list_text(wide, wide, is_plain, number_text)


def _list_text(
    short: list[float], exact: list[float], is_plain: list[bool], text: Callable[[float], bytes]
) -> bytes:
    """What Go and msgspec write alike is left to msgspec."""
    if all(is_plain):
        return _ENCODER.encode(short)
    return _ENCODER.encode(
        [
            value if plain else msgspec.Raw(text(rare))
            for value, rare, plain in zip(short, exact, is_plain, strict=True)
        ]
    )
