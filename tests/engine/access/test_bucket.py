"""A quota is spent at once and comes back continuously."""

from __future__ import annotations

import pytest

from llamawire.engine.access import Bucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_all_of_it_may_be_spent_at_once_and_then_comes_back() -> None:
    clock = Clock()
    bucket = Bucket(6, 60.0, clock)
    for _ in range(6):
        assert bucket.wait_s(1) == 0
        bucket.spend(1)
    assert bucket.wait_s(1) == pytest.approx(10.0)
    clock.now += 9.0
    assert bucket.wait_s(1) == pytest.approx(1.0)
    clock.now += 1.0
    assert bucket.wait_s(1) == 0


def test_no_more_is_kept_than_there_may_be() -> None:
    clock = Clock()
    bucket = Bucket(2, 60.0, clock)
    clock.now += 1e6
    bucket.spend(2)
    assert bucket.wait_s(1) == pytest.approx(30.0)


def test_a_debt_is_paid_before_anything_else() -> None:
    clock = Clock()
    bucket = Bucket(10, 10.0, clock)
    bucket.spend(25)
    assert bucket.wait_s(1) == pytest.approx(16.0)
    clock.now += 15.0
    assert bucket.wait_s(1) == pytest.approx(1.0)


def test_another_size_keeps_what_was_spent() -> None:
    clock = Clock()
    bucket = Bucket(10, 10.0, clock)
    bucket.spend(8)
    bucket.resize(20)
    assert bucket.wait_s(12) == 0
    assert bucket.wait_s(13) == pytest.approx(0.5)
    bucket.resize(5)
    assert bucket.wait_s(1) == pytest.approx(8.0)
