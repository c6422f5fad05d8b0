"""The downloads that run: one for each file, however many want it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

from llamawire.engine.store.blobs import Blobs
from llamawire.engine.store.manifest import Layer
from llamawire.engine.store.registry.client import RegistryClient
from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.download import Download
from llamawire.engine.store.registry.errors import DiskFull
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.partial import bytes_present

__all__ = ["Downloads", "free_bytes"]


def free_bytes(folder: Path) -> int:
    """What may still be written below a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class Downloads:
    """Fetches files into one store. A download lives as long as somebody waits for it."""

    def __init__(
        self,
        blobs: Blobs,
        disk: DiskThreads,
        limits: TransferLimits,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._blobs = blobs
        self._disk = disk
        self._limits = limits
        self._free_bytes = free_bytes
        self._running: dict[str, _Shared] = {}

    async def require_space(self, layers: Iterable[Layer]) -> None:
        """Raises DiskFull if what is missing of these files would not fit on the disk."""
        sizes = {layer.digest: layer.size for layer in layers}
        missing, free = await self._disk.run(self._missing_and_free, sizes)
        if missing > free:
            raise DiskFull(
                f"not enough room in {self._blobs.folder}: the model needs {missing} more bytes, "
                f"{free} are free; make room and try again"
            )

    async def fetch(self, client: RegistryClient, layer: Layer) -> AsyncGenerator[int, None]:
        """Tells now and then how many bytes are there; its end is that the file is in the store.

        Whoever leaves the iterator before, leaves the download to the others that wait for it.
        Raises RegistryError, OSError.
        """
        shared = self._running.get(layer.digest)
        if shared is None:
            shared = self._start(client, layer)
        shared.waiting += 1
        try:
            while not shared.task.done():
                if shared.download.has_begun:
                    yield shared.download.completed
                await asyncio.wait({shared.task}, timeout=self._limits.progress_interval_s)
            await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                await self._end(shared)

    async def close(self) -> None:
        """Ends all that run; what they have fetched stays for the next time."""
        for shared in list(self._running.values()):
            await self._end(shared)

    def _start(self, client: RegistryClient, layer: Layer) -> _Shared:
        download = Download(client, layer, self._blobs, self._disk, self._limits)
        shared = self._running[layer.digest] = _Shared(download)
        shared.task.add_done_callback(lambda _: self._forget(shared))
        return shared

    def _forget(self, shared: _Shared) -> None:
        if self._running.get(shared.download.digest) is shared:
            del self._running[shared.download.digest]

    async def _end(self, shared: _Shared) -> None:
        # Whoever comes now begins a new one, and waits for this one's lock.
        self._forget(shared)
        shared.task.cancel()
        await asyncio.wait({shared.task})
        if not shared.task.cancelled():
            # It ended by itself in the same moment; nobody is left to be told how.
            shared.task.exception()

    def _missing_and_free(self, sizes: dict[str, int]) -> tuple[int, int]:
        paths = {self._blobs.path(digest): size for digest, size in sizes.items()}
        missing = sum(
            max(0, size - bytes_present(path)) for path, size in paths.items() if not path.exists()
        )
        return missing, self._free_bytes(self._blobs.folder)


class _Shared:
    """A running download and how many wait for it."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.waiting = 0
        self.task = asyncio.create_task(download.run())
