"""The limits of transfers, each with its name."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TransferLimits", "finite"]

MIB = 1 << 20


@dataclass(frozen=True)
class TransferLimits:
    """Durations are seconds, sizes bytes."""

    streams: int = 4
    """Parts of one file that are fetched at a time."""
    part_bytes_min: int = 64 * MIB
    """A file is fetched in parts of at least this size, and sent in parts of this size."""
    part_bytes_max: int = 1024 * MIB
    """Parts of large files grow up to this, so that there are not thousands of them."""
    parts_wanted: int = 64
    """Up to this number of parts they stay small."""
    chunk_bytes: int = MIB
    """What is written to the disk and noted at a time: all that a crash can cost each stream."""
    wire_bytes_min: int = 2 * MIB
    """From this size on, what is fetched has a connection and a thread of its own."""
    receivers: int = 32
    """Threads that receive at a time, of all downloads; more streams wait for their turn."""
    flush_bytes: int = 64 * MIB
    """So much of a download is put on the disk at a time, while the rest arrives."""
    chunk_age_s: float = 1.0
    """A slow stream notes what it has after this time, however little it is."""
    attempts: int = 6
    """Failures in a row, without a byte between them, after which a transfer gives up."""
    retry_delay_s: float = 1.0
    """Pause after the first failure; it doubles with each further one."""
    retry_delay_max_s: float = 32.0
    """The longest pause."""
    connect_timeout_s: float = 30.0
    """For a connection to come up."""
    connect_stagger_s: float = 0.25
    """After so long without a connection to one address of a host, the next one is tried, too."""
    stall_timeout_s: float = 30.0
    """Without a byte for so long, a connection counts as cut."""
    commit_timeout_s: float = 600.0
    """For the answer to the last request of an upload: the registry may copy the file."""
    progress_interval_s: float = 0.06
    """Between two reports of progress."""
    lock_poll_s: float = 0.2
    """Between two looks at a file that another process is fetching."""

    def part_bytes(self, total: int) -> int:
        """The size of the parts of a file of `total` bytes; the last one is smaller."""
        wanted = -(-total // self.parts_wanted)
        return max(self.part_bytes_min, min(wanted, self.part_bytes_max))

    def retry_pause_s(self, failures: int) -> float:
        """The pause after so many failures in a row."""
        return min(self.retry_delay_s * 2.0 ** (failures - 1), self.retry_delay_max_s)


def finite(seconds: float) -> float | None:
    """A limit as asyncio takes it: None for none."""
    return seconds if math.isfinite(seconds) else None
