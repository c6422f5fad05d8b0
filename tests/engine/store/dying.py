"""An action in a process that dies at one of its steps: before a change of the disk, or amid one.

The steps are counted over all calls that change what lies on the disk, in whatever thread.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

KILLED = 9
STEPS_MAX = 400

CHANGES = (
    "chmod", "fchmod", "fdatasync", "fsync", "ftruncate", "link", "mkdir", "rename", "replace",
    "rmdir", "unlink", "utime",
)  # fmt: skip

# One process with everything imported, of which each step takes a copy.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "aiohttp.web", "llamawire.engine.store.registry"])


def dying(step: int, action: Callable[..., object], *arguments: object) -> BaseProcess:
    """Starts `action(*arguments)`; the exit code is KILLED, or 0 if it had fewer steps."""
    process = _context.Process(target=_die_at, args=(step, action, *arguments))
    process.start()
    return process


def running(action: Callable[..., object], *arguments: object) -> BaseProcess:
    """Starts `action(*arguments)` in a process that others may kill."""
    process = _context.Process(target=action, args=arguments)
    process.start()
    return process


def _die_at(step: int, action: Callable[..., object], *arguments: object) -> None:
    Steps(step).patch()
    action(*arguments)


class Steps:
    """Counts down to the step that is the last."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._lock = threading.Lock()
        self._pwrite, self._write, self._open = os.pwrite, os.write, os.open

    def patch(self) -> None:
        for name in CHANGES:
            setattr(os, name, self._counted(getattr(os, name)))
        os.open = self._open_counted  # type: ignore[assignment]
        os.write = self._write_counted  # type: ignore[assignment]
        os.pwrite = self._pwrite_counted  # type: ignore[assignment]
        os.pwritev = self._pwritev  # type: ignore[assignment]
        os.fdopen = self._fdopen  # type: ignore[assignment]

    def _is_last(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left < 0

    def _step(self) -> None:
        if self._is_last():
            os._exit(KILLED)

    def _counted(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self._step()
            return change(*arguments, **options)

        return counted

    def _open_counted(self, path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC):
            self._step()
        return self._open(path, flags, *rest, **options)

    def _write_counted(self, fd: int, data: Any) -> int:
        self._step()
        if self._is_last():
            self._write(fd, bytes(data)[: len(data) // 2])
            os._exit(KILLED)
        return self._write(fd, data)

    def _pwrite_counted(self, fd: int, data: Any, offset: int) -> int:
        self._step()
        if self._is_last():
            self._pwrite(fd, bytes(data)[: len(data) // 2], offset)
            os._exit(KILLED)
        return self._pwrite(fd, data, offset)

    def _pwritev(self, fd: int, pieces: Any, offset: int) -> int:
        return self._pwrite_counted(fd, b"".join(pieces), offset)

    def _fdopen(self, fd: int, *_: Any, **__: Any) -> PlainFile:
        return PlainFile(fd)


class PlainFile:
    """As much of a file opened for writing as the store uses, with writes that count."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: Any) -> int:
        return os.write(self._fd, data)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> PlainFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
