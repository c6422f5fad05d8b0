"""Answers, put aside while they come and told afterwards.

The one that records shares the machine with what it measures: so nothing is decoded or written
before all requests that are under way have ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TextIO

__all__ = ["Recording", "Recordings"]


@dataclass
class Recording:
    """One request, and what has come of it."""

    job_id: int
    started_s: float
    prompt_count: int = 0
    ended_s: float = 0.0
    messages: list[tuple[float, str | bytes]] = field(default_factory=list)
    """When, and what."""
    generated_count: int = 0
    prompt_ns: int = 0
    generate_ns: int = 0
    error: str = ""

    def told(self) -> dict[str, Any]:
        """As a line says it."""
        if self.error:
            return {"id": self.job_id, "error": self.error}
        return {
            "id": self.job_id,
            "started_s": self.started_s,
            "ended_s": self.ended_s,
            "messages": [(at_s, as_text(piece)) for at_s, piece in self.messages],
            "prompt_count": self.prompt_count,
            "generated_count": self.generated_count,
            "prompt_s": self.prompt_ns / 1e9,
            "generate_s": self.generate_ns / 1e9,
        }


class Recordings:
    """All requests of a process, by their ids; for one thread at a time, but for `begin`."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._open: dict[int, Recording] = {}
        self._ended: list[Recording] = []

    def ready(self) -> None:
        """Says that requests may come."""
        self._write({"ready": True})

    def begin(self, job_id: int, started_s: float) -> Recording:
        recording = self._open[job_id] = Recording(job_id, started_s)
        return recording

    def __getitem__(self, job_id: int) -> Recording:
        return self._open[job_id]

    def end(self, job_id: int) -> None:
        """Tells all that have ended once none is under way."""
        self._ended.append(self._open.pop(job_id))
        if self._open:
            return
        ended, self._ended = self._ended, []
        for recording in ended:
            self._write(recording.told())

    def fail(self, job_id: int, error: str) -> None:
        self._open[job_id].error = error
        self.end(job_id)

    def _write(self, line: dict[str, Any]) -> None:
        self._output.write(json.dumps(line) + "\n")
        self._output.flush()


def as_text(piece: str | bytes) -> str:
    return piece if isinstance(piece, str) else piece.decode(errors="replace")
