"""Trying again: after failures that may pass, with longer and longer pauses, up to a limit."""

from __future__ import annotations

import asyncio
import logging

from llamawire.engine.store.registry.errors import RegistryError, RegistryUnreachable
from llamawire.engine.store.registry.limits import TransferLimits

__all__ = ["Retry"]

log = logging.getLogger(__name__)


class Retry:
    """Counts failures in a row. One that came after some progress counts as the first."""

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits
        self._failures = 0
        self._progress = 0

    async def after(self, error: RegistryError, progress: int = 0) -> None:
        """Returns, after a pause, if it is worth trying again.

        Raises `error` if it is not transient, and RegistryUnreachable if it is one too many.
        `progress` is any number that has grown when something was achieved.
        """
        if not error.is_transient:
            raise error
        self._failures = 1 if progress > self._progress else self._failures + 1
        self._progress = max(self._progress, progress)
        if self._failures >= self._limits.attempts:
            raise RegistryUnreachable(f"max retries exceeded: {error}") from error
        pause_s = self._limits.retry_pause_s(self._failures)
        log.info("%s; again in %g s", error, pause_s)
        await asyncio.sleep(pause_s)
