"""A body from its connection to the disk, in one thread and through one buffer."""

from __future__ import annotations

import time
from collections.abc import Callable

from llamawire.engine.store.registry.errors import RegistryMisbehaved
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.partial import Part, Partial
from llamawire.engine.store.registry.wire import WireResponse

__all__ = ["receive"]


def receive(
    response: WireResponse,
    partial: Partial,
    part: Part,
    limits: TransferLimits,
    tell: Callable[[int], object],
) -> None:
    """Writes a body down until its part is whole or nothing more comes; blocks.

    `tell` hears of each chunk that is written. What has arrived before a failure is written, too.
    Raises RegistryUnreachable, OSError, and RegistryMisbehaved for more than belongs to the part.
    """
    buffer = memoryview(bytearray(limits.chunk_bytes))
    is_open = True
    while is_open and not part.is_complete:
        room = buffer[: part.size - part.completed]
        size, due_at = 0, time.monotonic() + limits.chunk_age_s
        try:
            while is_open and size < len(room) and time.monotonic() < due_at:
                count = response.read_into(room[size:])
                size, is_open = size + count, count > 0
        finally:
            if size:
                partial.write(part, [room[:size]])
                tell(size)
    if is_open and response.read_into(buffer[:1]):
        raise RegistryMisbehaved(f"{partial.blob.name}: the registry sends too much")
