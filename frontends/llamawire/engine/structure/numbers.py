"""Ranges of numbers as expressions of GBNF."""

from __future__ import annotations

from llamawire.engine.structure.characters import literal

__all__ = ["integer_range", "number_range"]

DIGITS_MAX = 16
"""Digits of a number without a limit."""

FRACTION = '("." [0-9]{1,16})?'
ZEROS = '("." "0"{1,16})?'
NOT_ZERO = '"." [0-9]{0,15} [1-9]'


def integer_range(low: int | None, high: int | None) -> str:
    """The integers from `low` to `high`; None: without a limit. `low` is not above `high`."""
    ways = []
    if low is None or low < 0:
        ways.append(
            f'"-" {_naturals(max(1, -high) if high is not None and high < 0 else 1, _minus(low))}'
        )
    if high is None or high >= 0:
        ways.append(_naturals(max(low or 0, 0), high))
    return _choice(ways)


def number_range(
    low: int | None, high: int | None, *, above_low: bool = False, below_high: bool = False
) -> str:
    """The numbers from `low` to `high`; without these where `above_low` and `below_high` say so."""
    ways = []
    if low is None or low < 0:
        ends_below_zero = high is not None and high < 0
        ways.append(
            '"-" '
            + _positives(
                -high if ends_below_zero and high is not None else 0,
                _minus(low),
                above_low=below_high if ends_below_zero else True,
                below_high=above_low,
            )
        )
    if high is None or high > 0 or (high == 0 and not below_high):
        starts_here = low is not None and low >= 0
        ways.append(
            _positives(
                low if starts_here and low is not None else 0,
                high,
                above_low=above_low and starts_here,
                below_high=below_high,
            )
        )
    return _choice(ways)


def _positives(low: int, high: int | None, *, above_low: bool, below_high: bool) -> str:
    """Numbers that are not negative, without a sign and an exponent."""
    if low == high:
        return f"{literal(str(low))} {ZEROS}"
    ways = []
    whole = low
    if above_low:
        ways.append(f"{literal(str(low))} {NOT_ZERO}")
        whole = low + 1
    if high is None or whole < high:
        ways.append(f"{_naturals(whole, None if high is None else high - 1)} {FRACTION}")
    if high is not None and not below_high:
        ways.append(f"{literal(str(high))} {ZEROS}")
    return _choice(ways)


def _minus(value: int | None) -> int | None:
    return None if value is None else -value


def _naturals(low: int, high: int | None) -> str:
    """Whole numbers from `low`, which is not negative, to `high`, without leading zeros."""
    if high is None:
        high = int("9" * max(DIGITS_MAX, len(str(low)) + 1))
    ways = []
    while low <= high:
        last = min(high, 10 ** len(str(low)) - 1)
        ways.append(_same_length(str(low), str(last)))
        low = last + 1
    return _choice(ways)


def _same_length(low: str, high: str) -> str:
    """Texts of digits from `low` to `high`, which are equally long."""
    if low == high:
        return literal(low) if low else '""'
    size = len(low) - 1
    rest_low, rest_high = low[1:], high[1:]
    if low[0] == high[0]:
        return f"{literal(low[0])} {_same_length(rest_low, rest_high)}"
    first, last = int(low[0]), int(high[0])
    ways = []
    if rest_low.strip("0"):
        ways.append(f"{literal(low[0])} {_same_length(rest_low, '9' * size)}")
        first += 1
    if rest_high.strip("9"):
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}]" + (f" [0-9]{{{size}}}" if size else ""))
    if rest_high.strip("9"):
        ways.append(f"{literal(high[0])} {_same_length('0' * size, rest_high)}")
    return _choice(ways)


def _choice(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else "(" + " | ".join(ways) + ")"
