"""Ratios and their intervals on data whose truth is known."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.cli.bench.clock import check_clock
from llamawire.cli.bench.exchange import BenchError, Exchange, Message, ServerTimes
from llamawire.cli.bench.statistics import paired_ratio, percentile, unpaired_ratio

numbers = st.floats(1e-3, 1e6)
series = st.lists(numbers, min_size=2, max_size=20)
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20)


@given(pairs)
def test_a_ratio_lies_in_its_interval(found: list[tuple[float, float]]) -> None:
    ratio = paired_ratio([a for a, _ in found], [b for _, b in found])
    assert ratio.low <= ratio.value * (1 + 1e-9)
    assert ratio.value <= ratio.high * (1 + 1e-9)


@given(pairs, st.floats(0.01, 100))
def test_a_ratio_grows_with_the_first_of_the_two(
    found: list[tuple[float, float]], factor: float
) -> None:
    ours, theirs = [a for a, _ in found], [b for _, b in found]
    before, after = (
        paired_ratio(ours, theirs),
        paired_ratio([factor * a for a in ours], theirs),
    )
    for one, other in ((before.low, after.low), (before.value, after.value)):
        assert other == pytest.approx(one * factor, rel=1e-6)


@given(pairs)
def test_the_other_way_round_is_the_inverse(found: list[tuple[float, float]]) -> None:
    ours, theirs = [a for a, _ in found], [b for _, b in found]
    back = paired_ratio(theirs, ours).inverted()
    there = paired_ratio(ours, theirs)
    assert back.value == pytest.approx(there.value, rel=1e-6)
    assert back.low == pytest.approx(there.low, rel=1e-6)


@given(series)
def test_a_server_is_as_good_as_itself(values: list[float]) -> None:
    ratio = paired_ratio(values, values)
    assert (ratio.low, ratio.value, ratio.high) == (1, 1, 1)
    assert unpaired_ratio(values, values).value == pytest.approx(1)


def rounds(draw: random.Random, count: int, ratio: float) -> tuple[list[float], list[float]]:
    """Two servers in rounds in which the machine is up to three times slower."""
    slow = [math.exp(draw.uniform(0, 1.1)) for _ in range(count)]
    ours = [100 * ratio / s * math.exp(draw.gauss(0, 0.1)) for s in slow]
    theirs = [100 / s * math.exp(draw.gauss(0, 0.1)) for s in slow]
    return ours, theirs


@pytest.mark.parametrize("count", [3, 9, 31])
def test_the_interval_holds_the_truth_95_times_of_100(count: int) -> None:
    draw = random.Random(count)
    hits = 0
    for _ in range(1000):
        ratio = paired_ratio(*rounds(draw, count, 1.3))
        hits += ratio.low <= 1.3 <= ratio.high
    assert 930 <= hits <= 968


def test_rounds_make_the_interval_narrower_than_the_machines_noise() -> None:
    ours, theirs = rounds(random.Random(1), 9, 1.3)
    paired, unpaired = paired_ratio(ours, theirs), unpaired_ratio(ours, theirs)
    assert paired.high / paired.low < unpaired.high / unpaired.low


def test_welchs_interval_holds_the_truth_at_least_95_times_of_100() -> None:
    draw = random.Random(5)
    hits = 0
    for _ in range(1000):
        ours = [130 * math.exp(draw.gauss(0, 0.2)) for _ in range(5)]
        theirs = [100 * math.exp(draw.gauss(0, 0.05)) for _ in range(9)]
        ratio = unpaired_ratio(ours, theirs)
        hits += ratio.low <= 1.3 <= ratio.high
    assert hits >= 930


def test_of_one_round_nothing_is_certain() -> None:
    assert paired_ratio([3.0], [2.0]).value == pytest.approx(1.5)
    assert (paired_ratio([3.0], [2.0]).low, paired_ratio([3.0], [2.0]).high) == (0, math.inf)


@given(st.lists(numbers, min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)))


def test_gaps_are_between_arrivals_not_between_messages() -> None:
    times = [(1.0, "a"), (1.5, "b"), (1.5, "c"), (2.5, ""), (3.5, "d")]
    exchange = Exchange(0.5, 4.0, [Message(at, text) for at, text in times])
    assert exchange.gaps_s() == [0.5, 2.0]
    assert exchange.gaps_s(since_s=1.6) == [2.0]
    assert exchange.gaps_s(until_s=1.2) == [0.5]
    assert exchange.first_token_s == 0.5


def test_an_answer_without_a_text_has_no_first_token() -> None:
    with pytest.raises(BenchError, match="without a text"):
        _ = Exchange(0, 1, [Message(0.5, "")]).first_token_s


def answer(total_s: float | None) -> Exchange:
    messages = [Message(1.0, "a"), Message(2.0, "b")]
    return Exchange(0, 2.0, messages, 1, 2, ServerTimes(total_s=total_s, generate_s=1.0))


@pytest.mark.parametrize(("total_s", "agrees"), [(2.0, True), (1.97, True), (1.9, False)])
def test_a_server_whose_clock_is_off_by_more_than_2_percent_is_told(
    total_s: float, agrees: bool
) -> None:
    check = check_clock([answer(total_s)] * 3)
    assert check is not None
    assert check.agrees == agrees


def test_a_server_without_timings_is_not_judged() -> None:
    assert check_clock([Exchange(0, 2, [Message(1, "a"), Message(2, "b")], 1, 2)]) is None
