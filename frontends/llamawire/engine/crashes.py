"""What is remembered of crashes: of a model's loads, and over a request."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict

from llamawire.engine.errors import LoadHeldOff
from llamawire.engine.run import Run

__all__ = ["CRASHES_PER_REQUEST_MAX", "LoadCrashes", "is_suspect", "record"]

CRASHES_PER_REQUEST_MAX = 2
"""Of workers that had the request in their batch, or were asked by it directly."""
CRASHES_WAITING_MAX = 4
"""Of workers that had the request, but not in their batch. It may be innocent, or kill every worker
while its prompt is tokenised."""
LOAD_CRASHES_IN_A_ROW_MAX = 3
"""Of one model; then it is held off."""


class LoadCrashes:
    """The crashes in a row of one model's loads."""

    def __init__(self, hold_off_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hold_off_s = hold_off_s
        self._clock = clock
        self._count = 0
        self._detail = ""
        self._held_until = -math.inf

    def check(self, model: str) -> None:
        """LoadHeldOff while the model is left alone."""
        wait_s = self._held_until - self._clock()
        if wait_s > 0:
            raise LoadHeldOff(model, self._count, self._detail, wait_s)

    def add(self, detail: str) -> None:
        self._count += 1
        self._detail = detail
        if self._count >= LOAD_CRASHES_IN_A_ROW_MAX:
            self._held_until = self._clock() + self._hold_off_s

    def clear(self) -> None:
        """The model has come up."""
        self._count = 0


def is_suspect(run: Run) -> bool:
    """So many workers have died over it that the next one probably would, too."""
    journal = run.journal
    return (
        journal.crashes >= CRASHES_PER_REQUEST_MAX or journal.crashes_waiting >= CRASHES_WAITING_MAX
    )


def record(model: str, run: Run) -> str:
    """A request for the log, as JSON; nothing of its text, nor of the answer's."""
    options = asdict(run.job.options)
    del options["stop"]
    return json.dumps(
        {
            "model": model,
            "job": run.id,
            "prompt_count": len(run.journal.prompt_ids or ()),
            "generated_count": len(run.journal.generated_ids),
            "crashes": run.journal.crashes,
            "crashes_waiting": run.journal.crashes_waiting,
            "has_format": run.job.grammar is not None,
            "options": options,
        }
    )
