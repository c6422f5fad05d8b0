"""Progress of long work: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress

from llamawire.cli.human import size_text

__all__ = ["Progress", "show_progress", "show_waiting"]

# A digest takes up the whole width of a terminal; its first digits tell files apart.
_DIGEST = re.compile(r"(?:sha256:)?\b([0-9a-f]{12})[0-9a-f]{52}\b")


class Progress(ABC):
    """What a server's progress messages are told to. A context: what is shown ends with it."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def update(self, status: str, digest: str = "", total: int = 0, completed: int = 0) -> None:
        """A step has begun, or the file `digest` has come so far."""


class Lines(Progress):
    """A line when a step begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""
        self._files: set[tuple[str, str]] = set()

    def update(self, status: str, digest: str = "", total: int = 0, completed: int = 0) -> None:
        if total:
            if (status, digest) in self._files:
                return
            self._files.add((status, digest))
            status = f"{status} ({size_text(total)})"
        elif status == self._last:
            return
        self._last = status
        self._stream.write(f"{status}\n")
        self._stream.flush()


class Bars(Progress):
    """A line for a step, a bar for a file. Bars that follow each other move at the same time;
    the next step ends them, so that everything stands in its order."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, markup=False)
        self._bars: RichProgress | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._last = ""

    def __exit__(self, *_: object) -> None:
        self._end_bars()

    def update(self, status: str, digest: str = "", total: int = 0, completed: int = 0) -> None:
        if total:
            self._move(status, digest, total, completed)
        elif status != self._last:
            self._end_bars()
            self._console.print(status, soft_wrap=True)
        self._last = status

    def _move(self, status: str, digest: str, total: int, completed: int) -> None:
        if self._bars is None:
            self._bars = _rich_progress(self._console)
            self._bars.start()
        task = self._tasks.get((status, digest))
        if task is None:
            short = _DIGEST.sub(r"\1", status)
            task = self._bars.add_task(short, total=total, completed=completed)
            self._tasks[status, digest] = task
        else:
            self._bars.update(task, total=total, completed=completed)

    def _end_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()


def show_progress(stream: TextIO) -> Progress:
    return Bars(stream) if stream.isatty() else Lines(stream)


def show_waiting(stream: TextIO, text: str) -> AbstractContextManager[object]:
    """A spinner on a terminal, nothing elsewhere."""
    if not stream.isatty():
        return contextlib.nullcontext()
    return Console(file=stream).status(text)


def _rich_progress(console: Console) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        TaskProgressColumn(),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        expand=True,
    )
