"""Ratios of two servers' numbers with their 95 % intervals.

Times and rates of one program scatter by factors, not by differences: so the mean, its interval and
every test are of logarithms. Values of one round were measured within seconds of each other and are
compared with each other; what the machine did in that round cancels out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Ratio", "paired_ratio", "percentile", "unpaired_ratio"]

# The 97.5 % point of Student's t for 1, 2, … degrees of freedom; beyond the table that of 30.
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """A ratio and the interval that holds the true one in 95 of 100 such measurements."""

    value: float
    low: float
    high: float

    def inverted(self) -> Ratio:
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low)


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, round by round. ValueError unless both have the same number of positive
    values, at least one; of a single round the interval is everything."""
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    if len(logs) < 2:
        return Ratio(math.exp(_mean(logs)), 0.0, math.inf)
    half = _t(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return _ratio(_mean(logs), half)


def unpaired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, measured at different times (Welch's interval)."""
    mine, other = ([math.log(value) for value in values] for values in (ours, theirs))
    centre = _mean(mine) - _mean(other)
    if min(len(mine), len(other)) < 2:
        return Ratio(math.exp(centre), 0.0, math.inf)
    parts = [(statistics.variance(logs) / len(logs), len(logs) - 1) for logs in (mine, other)]
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts)
    freedom = int(variance**2 / spread) if spread else len(mine) + len(other) - 2
    return _ratio(centre, _t(freedom) * math.sqrt(variance))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie, interpolated. ValueError if empty."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _mean(logs: Sequence[float]) -> float:
    if not logs:
        raise ValueError("no values")
    return statistics.fmean(logs)


def _ratio(centre: float, half: float) -> Ratio:
    return Ratio(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def _t(freedom: int) -> float:
    return _T_975[min(max(freedom, 1), len(_T_975)) - 1]
