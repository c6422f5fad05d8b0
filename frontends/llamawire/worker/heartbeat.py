"""What a worker shows of its life.

Every HEARTBEAT_S the session carries a number that moves as long as the work does. It is the
daemon that judges: it counts the time in which the number stood still.
"""

from __future__ import annotations

import resource

__all__ = ["HEARTBEAT_S", "page_waits"]

HEARTBEAT_S = 0.25


def page_waits() -> int:
    """Pages that this process has waited for. A model's first steps read it from the disk, and a
    single node of the graph may take long then without anything being wrong."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
