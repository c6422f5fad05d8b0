"""Threads for the disk alone: a slow one holds up transfers, not the rest of the server."""

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

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="llamawire-disk")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Who is cancelled, even twice, waits for the call: its file may be closed only then."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
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
