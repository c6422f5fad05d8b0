"""A model of the library into a registry: its files, and last of all its manifest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from llamawire.engine.store.create_request import Progress
from llamawire.engine.store.errors import CorruptManifest, InvalidName, ModelNotFound
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import MANIFEST, Layer, parse_json
from llamawire.engine.store.model import Entry
from llamawire.engine.store.names import ModelName
from llamawire.engine.store.registry.client import RegistryClient
from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.pull import short_digest
from llamawire.engine.store.registry.upload import Upload
from llamawire.engine.store.registry.upload_note import UploadNote

__all__ = ["find", "push"]


async def push(
    entry: Entry,
    client: RegistryClient,
    disk: DiskThreads,
    limits: TransferLimits,
    notes: Path,
) -> AsyncGenerator[Progress, None]:
    """Sends a model, telling of each step after the first; the last line is `success`.

    How far its uploads are, is noted in the folder `notes`.
    What the registry has already is not sent. The manifest goes as it is, byte for byte, so that
    the model keeps its digest. Raises RegistryError, BlobNotFound, OSError.
    """
    for layer in entry.manifest.blobs:
        async with contextlib.aclosing(_send(entry, layer, client, disk, limits, notes)) as lines:
            async for line in lines:
                yield line
    yield Progress("pushing manifest")
    await client.put_manifest(entry.name.tag, entry.data, _media_type(entry.data))
    yield Progress("success")


async def _send(
    entry: Entry,
    layer: Layer,
    client: RegistryClient,
    disk: DiskThreads,
    limits: TransferLimits,
    notes: Path,
) -> AsyncGenerator[Progress, None]:
    """Tells of a file on its way; the last line has all of it."""
    status = f"pushing {short_digest(layer.digest)}"
    path = await asyncio.to_thread(entry.source.require, layer.digest)
    note = UploadNote(notes, layer.digest, client.repository)
    upload = Upload(
        client, path, layer.digest, disk, limits, note, mount_from=_repository(entry.name, layer)
    )
    task = asyncio.create_task(upload.run())
    told = -1
    try:
        while not task.done():
            if upload.has_begun and upload.completed not in (told, upload.total):
                told = upload.completed
                yield Progress(status, layer.digest, upload.total, told)
            await asyncio.wait({task}, timeout=limits.progress_interval_s)
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})
    yield Progress(status, layer.digest, upload.total, upload.total)


def _repository(name: ModelName, layer: Layer) -> str:
    """The repository of the same registry that a layer was taken from, if it tells one.

    It may not exist there: the registry then begins an upload as if nothing had been said.
    """
    try:
        origin = ModelName.parse(layer.origin)
    except InvalidName:
        return ""
    is_elsewhere = (origin.namespace, origin.model) != (name.namespace, name.model)
    is_near = origin.host.lower() == name.host.lower() and is_elsewhere
    return f"{origin.namespace}/{origin.model}" if is_near else ""


def _media_type(data: bytes) -> str:
    """What the manifest says that it is; registries compare the two."""
    try:
        fields = parse_json(data)
    except CorruptManifest:
        return MANIFEST
    media_type = fields.get("mediaType") if isinstance(fields, dict) else None
    return media_type if isinstance(media_type, str) and media_type.isprintable() else MANIFEST


def find(library: Library, name: ModelName) -> Entry:
    """The model to send. Raises ModelNotFound, with the path where it was looked for."""
    try:
        return library.entry(name)
    except ModelNotFound as error:
        error.metadata = {**error.metadata, "path": str(library.manifests.path(name))}
        raise
