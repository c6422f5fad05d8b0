"""Threads for calls that wait: a slow disk or line holds up transfers, not the whole server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from llamawire.engine.store.registry.errors import DiskFull

__all__ = ["DiskThreads"]

P = ParamSpec("P")
T = TypeVar("T")

FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskThreads:
    """Runs blocking calls. Raises what they raise, and DiskFull for a disk that is."""

    def __init__(self, count: int, name: str = "llamawire-disk") -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Who is cancelled, even twice, waits for the call: its file may be closed only then."""
        return await self.run_interruptibly(_not_at_all, call, *args, **kwargs)

    async def run_interruptibly(
        self, interrupt: Callable[[], None], call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `run`; who is cancelled calls `interrupt` first, which is to end the call soon."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            interrupt()
            while not future.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({future})
            if not future.cancelled():
                future.exception()  # Nobody is left to be told.
            raise
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise DiskFull(
                f"the disk is full: {os.strerror(error.errno).lower()}; "
                "make room and try again, what has arrived is kept"
            ) from error

    def close(self) -> None:
        self._threads.shutdown(wait=False)


def _not_at_all() -> None:
    """A disk cannot be told to stop."""
