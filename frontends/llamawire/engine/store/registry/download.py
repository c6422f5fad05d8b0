"""One file on its way from a registry into the store.

Parts of it are fetched side by side, and noted on the disk chunk by chunk. The hash needs the
bytes in order, which parallel parts do not have; so it follows behind, reading the file as far as
nothing is missing, while more arrives. Those bytes are still in the page cache, the sum is ready
right after the last byte, and what an earlier process has fetched goes through it, too. Only then
does the file get its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from llamawire.engine.store.blobs import Blobs
from llamawire.engine.store.manifest import Layer
from llamawire.engine.store.registry.client import RegistryClient
from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.errors import (
    DownloadCorrupt,
    RangeIgnored,
    RegistryError,
    RegistryMisbehaved,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.http import Response, body_of
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.partial import (
    Part,
    Partial,
    PartialInUse,
    bytes_present,
)
from llamawire.engine.store.registry.receive import receive
from llamawire.engine.store.registry.retry import Retry
from llamawire.engine.store.registry.wire import WireResponse

__all__ = ["Download"]

# Hashed at a time, and read into memory at a time while doing so.
HASH_BYTES = 8 << 20
READ_BYTES = 256 << 10
# Between two looks at whether so much has come that it is worth a flush.
FLUSH_POLL_S = 0.1

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.IGNORECASE)

log = logging.getLogger(__name__)


class Download:
    """A blob to be fetched. `run` once; `completed` may be looked at once `has_begun`."""

    def __init__(
        self,
        client: RegistryClient,
        layer: Layer,
        blobs: Blobs,
        disk: DiskThreads,
        limits: TransferLimits,
    ) -> None:
        self.digest = layer.digest
        self.total = layer.size
        self.completed = 0
        self.has_begun = False
        self._client = client
        self._blobs = blobs
        self._disk = disk
        self._limits = limits
        self._has_grown = asyncio.Event()

    async def run(self) -> None:
        """Returns when the blob is in the store, whoever has put it there. Raises RegistryError."""
        if not self.total:
            self.total = await self._asked_size()
        partial = Partial(self._blobs.path(self.digest), self.total, self._limits)
        try:
            if await self._opened(partial):
                await self._complete(partial)
        finally:
            # Closing lets go of the lock; the state on the disk is right at every moment.
            partial.close()

    async def _asked_size(self) -> int:
        """For manifests that do not say how large a file is."""
        size = await self._client.blob_size(self.digest)
        return size or 0

    async def _opened(self, partial: Partial) -> bool:
        """Waits until no other process has the download; false if the file is there then."""
        while not await self._disk.run(self._blobs.reuse, self.digest):
            try:
                await self._disk.run(partial.open)
            except PartialInUse:
                self.completed = await self._disk.run(bytes_present, partial.blob)
                self.has_begun = True
                await asyncio.sleep(self._limits.lock_poll_s)
                continue
            if await self._disk.run(self._blobs.reuse, self.digest):
                # It came between the look and the lock.
                await self._disk.run(partial.discard)
                return False
            self.completed = partial.completed
            self.has_begun = True
            return True
        return False

    async def _complete(self, partial: Partial) -> None:
        """Fetches what is missing, and gives the file its name if it deserves it."""
        if not await self._is_right(partial, await self._fill(partial)):
            # What an earlier process has left may have been torn by a power cut.
            log.warning("%s was torn when it was resumed; it is fetched anew", self.digest)
            await self._disk.run(partial.restart)
            self.completed = 0
            await self._is_right(partial, await self._fill(partial))
        await self._disk.run(partial.finish)

    async def _fill(self, partial: Partial) -> str:
        """Fetches what is missing; gives the digest of what is there then."""
        try:
            return await self._fetch_and_hash(partial)
        except RangeIgnored:
            log.info("%s: the registry has no ranges; the file is fetched as one", self.digest)
            await self._disk.run(partial.restart, as_one_part=True)
            self.completed = 0
            return await self._fetch_and_hash(partial)

    async def _fetch_and_hash(self, partial: Partial) -> str:
        parts = iter([part for part in partial.parts if not part.is_complete])
        fetching = [self._fetch_parts(partial, parts) for _ in range(self._limits.streams)]
        flushing = asyncio.create_task(self._flush(partial))
        try:
            *_, digest = await _all(*fetching, self._hash(partial))
        finally:
            flushing.cancel()
            await asyncio.wait({flushing})
        return str(digest)

    async def _is_right(self, partial: Partial, digest: str) -> bool:
        """False if it is worth fetching again. Raises DownloadCorrupt, and nothing is kept."""
        if digest == self.digest:
            return True
        if partial.was_resumed:
            return False
        await self._disk.run(partial.discard)
        raise DownloadCorrupt(self.digest, digest)

    async def _fetch_parts(self, partial: Partial, parts: Iterator[Part]) -> None:
        for part in parts:
            retry = Retry(self._limits)
            while not part.is_complete:
                try:
                    await self._fetch(partial, part)
                except RegistryError as error:
                    await retry.after(error, part.completed)

    async def _fetch(self, partial: Partial, part: Part) -> None:
        """One request for the rest of a part."""
        first, last = part.position, part.end - 1
        async with self._client.blob(self.digest, first, last) as response:
            if response.status == 200:
                await self._begin_whole(partial, part)
            else:
                self._check_range(response, first)
            await self._receive(partial, part, response)
        if not part.is_complete:
            raise RegistryUnreachable(f'Get "{response.url.with_query(None)}": unexpected EOF')

    async def _begin_whole(self, partial: Partial, part: Part) -> None:
        """A whole file is good for the part that is the file; what of it is here comes again."""
        if part.size != self.total:
            raise RangeIgnored("the registry does not serve parts of a file")
        if part.completed:
            self.completed -= part.completed
            await self._disk.run(partial.forget, part)

    def _check_range(self, response: Response, first: int) -> None:
        header = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.match(header)
        if match is None or int(match[1]) != first:
            raise RangeIgnored(f'"Content-Range: {header}" in answer to a range from {first}')
        if match[2] not in ("*", str(self.total)):
            raise RegistryMisbehaved(
                f"{self.digest} has {match[2]} bytes in the registry, "
                f"and {self.total} by the manifest"
            )

    async def _receive(self, partial: Partial, part: Part, response: Response) -> None:
        """Writes the body down. What has arrived before a failure is written, too."""
        if not isinstance(response, WireResponse):
            return await self._receive_pieces(partial, part, response)
        loop = asyncio.get_running_loop()

        def tell(size: int) -> None:
            loop.call_soon_threadsafe(self._grow, size)

        await response.threads.run_interruptibly(
            response.interrupt, receive, response, partial, part, self._limits, tell
        )

    async def _receive_pieces(self, partial: Partial, part: Part, response: Response) -> None:
        chunk = _Chunk(self._limits)
        try:
            async for data in body_of(response):
                chunk.add(data)
                if chunk.size > part.size - part.completed:
                    raise RegistryMisbehaved(f"{self.digest}: the registry sends too much")
                if chunk.is_due:
                    await self._write(partial, part, chunk)
        finally:
            if chunk.size <= part.size - part.completed:
                await self._write(partial, part, chunk)

    async def _write(self, partial: Partial, part: Part, chunk: _Chunk) -> None:
        size, pieces = chunk.take()
        if pieces:
            await self._disk.run(partial.write, part, pieces)
            self._grow(size)

    def _grow(self, size: int) -> None:
        self.completed += size
        self._has_grown.set()

    async def _flush(self, partial: Partial) -> None:
        """Puts bytes on the disk while others arrive, so that the end has few to wait for."""
        flushed = self.completed
        while True:
            await asyncio.sleep(FLUSH_POLL_S)
            if self.completed - flushed >= self._limits.flush_bytes:
                flushed = self.completed
                # A failure is the last flush's to tell, before the file gets its name.
                with contextlib.suppress(OSError):
                    await self._disk.run(os.fdatasync, partial.fd)

    async def _hash(self, partial: Partial) -> str:
        """The hash of all bytes, in their order, as far behind the last one as it has to be."""
        state, position = hashlib.sha256(), 0
        while position < self.total:
            end = min(partial.frontier, position + HASH_BYTES)
            if end <= position:
                self._has_grown.clear()
                await self._has_grown.wait()
                continue
            await self._disk.run(_hash_range, state, partial.fd, position, end)
            position = end
        return f"sha256:{state.hexdigest()}"


class _Chunk:
    """What has arrived and is not written yet."""

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits
        self._pieces: list[bytes] = []
        self._began_at = time.monotonic()
        self.size = 0

    @property
    def is_due(self) -> bool:
        age_s = time.monotonic() - self._began_at
        return self.size >= self._limits.chunk_bytes or age_s >= self._limits.chunk_age_s

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self.size += len(data)

    def take(self) -> tuple[int, list[bytes]]:
        taken = (self.size, self._pieces)
        self.size, self._pieces, self._began_at = 0, [], time.monotonic()
        return taken


def _hash_range(state: hashlib._Hash, fd: int, first: int, end: int) -> None:
    buffer = memoryview(bytearray(min(READ_BYTES, end - first)))
    while first < end:
        count = os.preadv(fd, [buffer[: end - first]], first)
        if not count:
            raise OSError("a download was cut short on the disk while it ran")
        state.update(buffer[:count])
        first += count


async def _all(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results of all; the first failure ends the others and waits for their end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
