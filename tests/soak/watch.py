"""What is looked at all the while: memory, descriptors, threads, and one short request's time."""

from __future__ import annotations

import contextlib
import csv
import statistics
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from e2e.daemon import Daemon

__all__ = ["Sample", "Verdict", "judge", "plot", "take", "write"]

PROBES = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Sizes are MiB, times milliseconds; `seconds` are since the start."""

    seconds: float
    daemon_mib: float
    workers_mib: float
    daemon_fds: int
    worker_fds: int
    threads: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A quantity's median at the beginning and at the end, and what it may have grown to."""

    name: str
    before: float
    after: float
    limit: float

    @property
    def is_flat(self) -> bool:
        return self.after <= self.limit


def take(daemon: Daemon, started: float) -> Sample:
    """The workers' numbers are those of the largest one, since how many there are changes."""
    process = psutil.Process(daemon.process.pid)
    sizes, fds, threads = [0.0], [0], process.num_threads()
    for worker in daemon.workers():
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(worker.memory_info().rss / 2**20)
            fds.append(worker.num_fds())
    return Sample(
        seconds=time.monotonic() - started,
        daemon_mib=process.memory_info().rss / 2**20,
        workers_mib=max(sizes),
        daemon_fds=process.num_fds(),
        worker_fds=max(fds),
        threads=threads,
        latency_ms=statistics.median(probe(daemon) for _ in range(PROBES)),
    )


def probe(daemon: Daemon) -> float:
    """How long one token takes, in milliseconds, whatever the answer is."""
    started = time.monotonic()
    daemon.generate(model="endless", prompt="z", raw=True, options={"num_predict": 1})
    return (time.monotonic() - started) * 1e3


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """Compares the second quarter with the last; the first one warms up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]

    def verdict(name: str, share: float, more: float) -> Verdict:
        before = statistics.median(getattr(each, name) for each in early)
        after = statistics.median(getattr(each, name) for each in late)
        return Verdict(name, before, after, before * share + more)

    return [
        verdict("daemon_mib", 1.05, 5),
        verdict("workers_mib", 1.05, 5),
        verdict("daemon_fds", 1, 8),
        verdict("worker_fds", 1, 4),
        verdict("threads", 1, 4),
        verdict("latency_ms", 1.5, 5),
    ]


def write(samples: Sequence[Sample], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Sample))
        writer.writerows(map(astuple, samples))


def plot(samples: Sequence[Sample], faults_s: Sequence[float], path: Path) -> None:
    """A curve for each quantity, over minutes; the ticks at the bottom are faults."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [field.name for field in fields(Sample)][1:]
    figure, axes = plt.subplots(len(names), sharex=True, figsize=(10, 2 * len(names)))
    minutes = [each.seconds / 60 for each in samples]
    for name, axis in zip(names, axes, strict=True):
        axis.plot(minutes, [getattr(each, name) for each in samples], linewidth=1)
        axis.set_ylabel(name)
        axis.set_ylim(bottom=0)
    axes[-1].set_yscale("symlog")
    low = [0.0] * len(faults_s)
    axes[-1].plot([second / 60 for second in faults_s], low, "|", color="red", markersize=8)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
