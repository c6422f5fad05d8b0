"""Finds out that a worker stands still.

A worker that is stopped, or hangs in native code, keeps its socket open: nothing ends, and nothing
comes. So each sends a number that moves as long as its work does, and here the time is counted in
which it stood still. The time is counted in looks of our own, one after the other: while this
process, or the whole machine, does not run, no time passes for the worker either.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

__all__ = ["Heartbeat"]

LOOKS = 8
"""In the time that a worker has. After half of them it is late."""


class Heartbeat:
    """Watches one worker. `on_late` is told True when it is late, and False when it is back."""

    def __init__(self, timeout_s: float, on_late: Callable[[bool], None]) -> None:
        self._timeout_s = timeout_s
        self._on_late = on_late
        self._beats = -1
        self._still_looks = 0
        self._is_late = False

    def beat(self, beats: int) -> None:
        """The number as it came."""
        if beats == self._beats:
            return
        self._beats = beats
        self._still_looks = 0
        self._tell(False)

    async def stopped(self) -> None:
        """Returns when the number has stood still for the whole time."""
        if math.isinf(self._timeout_s):
            await asyncio.Event().wait()
        while self._still_looks < LOOKS:
            await asyncio.sleep(self._timeout_s / LOOKS)
            self._still_looks += 1
            self._tell(self._still_looks > LOOKS // 2)

    def _tell(self, is_late: bool) -> None:
        if is_late != self._is_late:
            self._is_late = is_late
            self._on_late(is_late)
