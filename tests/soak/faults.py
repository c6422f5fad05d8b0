"""What goes wrong during a soak, on purpose."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random
import signal
from collections.abc import Callable

import psutil

from e2e.daemon import Daemon

__all__ = ["FAULTS", "HEARTBEAT_TIMEOUT_S", "Fault"]

HEARTBEAT_TIMEOUT_S = 2
CROWD = 60

Fault = Callable[[Daemon, random.Random], None]


def strike(daemon: Daemon, chance: random.Random, number: signal.Signals) -> None:
    """Sends a signal to one of the workers, the spare one too."""
    workers = daemon.workers()
    if workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(workers).send_signal(number)


def kill(daemon: Daemon, chance: random.Random) -> None:
    strike(daemon, chance, signal.SIGKILL)


def crash(daemon: Daemon, chance: random.Random) -> None:
    strike(daemon, chance, signal.SIGSEGV)


def stop(daemon: Daemon, chance: random.Random) -> None:
    """A worker that stands still: the daemon has to miss its heartbeat."""
    strike(daemon, chance, signal.SIGSTOP)


def crowd(daemon: Daemon, chance: random.Random) -> None:
    """More callers at once than there are places."""

    def ask(_: int) -> int:
        return daemon.generate(
            model="endless", prompt="z", raw=True, options={"num_predict": 20}
        ).status

    with concurrent.futures.ThreadPoolExecutor(CROWD) as threads:
        statuses = set(threads.map(ask, range(CROWD)))
    assert statuses <= {200, 503}, statuses


FAULTS: tuple[Fault, ...] = (kill, crash, stop, crowd)
