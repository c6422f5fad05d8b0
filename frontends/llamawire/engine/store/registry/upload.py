"""One file of the store on its way to a registry.

It is sent in parts, each a request of its own whose answer says where the next one goes. After a
failure the registry is asked how much it has, and the upload goes on from there; if it has
forgotten the upload, another one is begun. How far it is, is noted on the disk, so that a server
that was killed goes on, too. The registry `distribution` before 3.0 throws an upload away once a
part of it was cut short (distribution/distribution#3755): there, the file is sent from its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import urllib.parse
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from yarl import URL

from llamawire.engine.store.registry.client import RegistryClient, location, upload_location
from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.errors import (
    NotInRegistry,
    RegistryError,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.http import Response, check
from llamawire.engine.store.registry.limits import TransferLimits, finite
from llamawire.engine.store.registry.retry import Retry
from llamawire.engine.store.registry.upload_note import UploadNote

__all__ = ["Upload"]

T = TypeVar("T")

READ_BYTES = 1 << 20
STREAM = "application/octet-stream"
# What a registry says to a part that does not begin where it has got to.
OUT_OF_ORDER = 416

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class Upload:
    """A blob to be sent. `run` once; `completed` may be looked at once `has_begun`."""

    def __init__(
        self,
        client: RegistryClient,
        path: Path,
        digest: str,
        disk: DiskThreads,
        limits: TransferLimits,
        note: UploadNote,
        *,
        mount_from: str = "",
    ) -> None:
        self.digest = digest
        self.total = path.stat().st_size
        self.completed = 0
        self.has_begun = False
        self._client = client
        self._path = path
        self._mount_from = mount_from
        self._disk = disk
        self._limits = limits
        self._note = note
        self._location: URL | None = None
        # The MD5 of each part as it was sent; storage services want to see them again at the end.
        self._checksums: list[bytes] = []
        self._activity = 0

    async def run(self) -> None:
        """Returns when the registry has the blob. Raises RegistryError, OSError."""
        retry = Retry(self._limits)
        try:
            self._location = await self._disk.run(self._note.open)
            while True:
                try:
                    await self._attempt()
                    return await self._disk.run(self._note.discard)
                except RegistryError as error:
                    await retry.after(error, self.completed)
        finally:
            self._note.close()

    async def _attempt(self) -> None:
        if self._location is not None:
            await self._resume(self._location)
        if self._location is None:
            if await self._client.blob_size(self.digest) is not None:
                self.completed = self.total
                return
            self._location = await self._client.start_upload(self.digest, self._mount_from)
            self.completed, self._checksums = 0, []
        if self._location is None:
            self.completed = self.total
            return
        self.has_begun = True
        await self._disk.run(self._note.save, self._location)
        with self._path.open("rb", buffering=0) as file:
            while self.completed < self.total:
                self._location = await self._send_part(self._location, file.fileno())
                await self._disk.run(self._note.save, self._location)
        await self._commit(self._location)

    async def _resume(self, place: URL) -> None:
        """Finds out how much has arrived; no location is left if the registry does not know."""
        self._location = None
        try:
            async with self._client.sent("GET", place) as response:
                await check(response)
                self._location = upload_location(response)
                self._set_completed(_received(response))
        except (NotInRegistry, RegistryRefused, RegistryMisbehaved):
            self._location = None

    def _set_completed(self, completed: int) -> None:
        if completed != self.completed:
            # Parts no longer are what was summed up; a registry that needs the sums will say so.
            self._checksums = []
            self.completed = min(completed, self.total)

    async def _send_part(self, place: URL, fd: int) -> URL:
        """Sends the next part; gives where the one after it goes."""
        first = self.completed
        end = min(first + self._limits.part_bytes_min, self.total)
        checksum = hashlib.md5(usedforsecurity=False)
        headers = {
            "Content-Type": STREAM,
            "Content-Length": str(end - first),
            "Content-Range": f"{first}-{end - 1}",
            "X-Redirect-Uploads": "1",
        }

        def body() -> AsyncIterator[bytes]:
            nonlocal checksum
            checksum = hashlib.md5(usedforsecurity=False)
            return self._read(fd, first, end, checksum)

        async with self._request("PATCH", place, headers, body) as response:
            if response.status == 307:
                after = location(response, "Docker-Upload-Location") or place
                await self._send_elsewhere(response, headers, body)
            elif response.status == OUT_OF_ORDER:
                raise RegistryUnreachable("the registry has lost a part of the upload")
            else:
                await check(response)
                after = upload_location(response) if "Location" in response.headers else place
        self.completed = end
        self._checksums.append(checksum.digest())
        return after

    async def _send_elsewhere(
        self,
        response: Response,
        headers: dict[str, str],
        body: Callable[[], AsyncIterator[bytes]],
    ) -> None:
        """Sends a part to the storage behind the registry, which is told nothing of who we are."""
        target = self._client.redirected(response)
        kept = {key: headers[key] for key in ("Content-Type", "Content-Length")}
        async with self._request("PUT", target, kept, body) as stored:
            await check(stored)

    async def _commit(self, place: URL) -> None:
        query = {"digest": self.digest}
        if self._checksums:
            total = hashlib.md5(b"".join(self._checksums), usedforsecurity=False)
            query["etag"] = f"{total.hexdigest()}-{len(self._checksums)}"
        # The address may be signed: what is there stays as it is.
        joint = "&" if place.raw_query_string else "?"
        url = URL(f"{place}{joint}{urllib.parse.urlencode(query)}", encoded=True)
        headers = {"Content-Length": "0"}
        timeout_s = self._limits.commit_timeout_s
        async with self._client.sent(
            "PUT", url, headers=headers, answer_timeout_s=timeout_s
        ) as response:
            await check(response)

    @contextlib.asynccontextmanager
    async def _request(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: Callable[[], AsyncIterator[bytes]],
    ) -> AsyncIterator[Response]:
        """A request whose body may take long, but not stand still."""
        async with contextlib.AsyncExitStack() as stack:
            sending = stack.enter_async_context(
                self._client.sent(method, url, headers=headers, body=body)
            )
            yield await self._watched(sending)

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises RegistryUnreachable if nothing is read for the upload for too long."""
        task = asyncio.create_task(work)
        try:
            while True:
                before = self._activity
                await asyncio.wait({task}, timeout=finite(self._limits.stall_timeout_s))
                if task.done():
                    return task.result()
                if self._activity == before:
                    raise RegistryUnreachable("the upload stands still")
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _read(
        self, fd: int, first: int, end: int, checksum: hashlib._Hash
    ) -> AsyncIterator[bytes]:
        for position in range(first, end, READ_BYTES):
            data = await self._disk.run(
                _read_summed, fd, min(READ_BYTES, end - position), position, checksum
            )
            self.completed = position
            self._activity += 1
            yield data


def _read_summed(fd: int, count: int, position: int, checksum: hashlib._Hash) -> bytes:
    data = os.pread(fd, count, position)
    if len(data) != count:
        raise OSError("a file of the store was cut short while it was sent")
    checksum.update(data)
    return data


def _received(response: Response) -> int:
    """How many bytes a registry has of an upload. `0-0` is what it says for none, and for one."""
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    last = int(match[1]) if match else 0
    return last + 1 if last else 0
