"""A quota that fills up again continuously."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Bucket"]

ROUNDING_S = 1e-6
"""Sums of fractions are not exact, and whoever came again when told to is not sent away for it."""


class Bucket:
    """`capacity` units in `period_s`, all of which may be spent at once.

    What is spent may exceed what is there, since the length of an answer is known only when it has
    been given; the next one then waits until the debt is paid.
    """

    def __init__(
        self, capacity: int, period_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.capacity = capacity
        self._period_s = period_s
        self._clock = clock
        self._level = float(capacity)
        self._filled_at = clock()

    def spend(self, units: int) -> None:
        self._fill()
        self._level -= units

    def wait_s(self, units: int) -> float:
        """How long until so many units are there; 0 if they are."""
        self._fill()
        wait_s = (units - self._level) * self._period_s / self.capacity
        return wait_s if wait_s > ROUNDING_S else 0.0

    def resize(self, capacity: int) -> None:
        """What has been spent stays spent."""
        self._fill()
        self._level += capacity - self.capacity
        self.capacity = capacity

    def _fill(self) -> None:
        now = self._clock()
        gained = (now - self._filled_at) * self.capacity / self._period_s
        self._level = min(float(self.capacity), self._level + gained)
        self._filled_at = now
