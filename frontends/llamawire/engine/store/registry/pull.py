"""A model from a registry into the library: its files, and last of all its manifest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llamawire.engine.store.blobs import Blobs
from llamawire.engine.store.create_request import Progress
from llamawire.engine.store.errors import (
    BlobNotFound,
    CorruptManifest,
    InvalidDigest,
    InvalidGguf,
    ModelNotFound,
)
from llamawire.engine.store.gguf import validate_gguf
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import (
    ADAPTER,
    MODEL,
    PROJECTOR,
    Layer,
    Manifest,
    parse_json,
)
from llamawire.engine.store.names import ModelName
from llamawire.engine.store.registry.client import RegistryClient
from llamawire.engine.store.registry.downloads import Downloads
from llamawire.engine.store.registry.errors import RegistryError, RegistryMisbehaved

__all__ = ["pull", "read_manifest", "short_digest"]

TENSOR = "application/vnd.ollama.image.tensor"
ROLES = {MODEL: "model", PROJECTOR: "projector", ADAPTER: "adapter"}
# A delete of another model may take a file away just before the manifest that names it is there.
INSTALL_TRIES = 3

log = logging.getLogger(__name__)


async def pull(
    library: Library, downloads: Downloads, clients: Sequence[RegistryClient], name: ModelName
) -> AsyncGenerator[Progress, None]:
    """Fetches `name`, telling of each step after the first; the last line is `success`.

    The clients are asked for it in their order. Raises RegistryError, InvalidDigest, InvalidGguf,
    StoreError, OSError.
    """
    client, data = await _find(clients, name)
    manifest = read_manifest(data, name)
    await downloads.require_space(manifest.blobs)
    for tries_left in reversed(range(INSTALL_TRIES)):
        for layer in manifest.blobs:
            async with aclosing(_fetch(library.blobs, downloads, client, layer)) as lines:
                async for line in lines:
                    yield line
        yield Progress("verifying sha256 digest")
        try:
            await asyncio.to_thread(_check_files, library.blobs, manifest)
            yield Progress("writing manifest")
            has_removed = await asyncio.to_thread(_install, library, name, data)
            break
        except BlobNotFound:
            if not tries_left:
                raise
    if has_removed:
        yield Progress("removing unused layers")
    yield Progress("success")


async def _find(clients: Sequence[RegistryClient], name: ModelName) -> tuple[RegistryClient, bytes]:
    """The manifest, and who has it: the first mirror that does, or the registry itself."""
    *mirrors, registry = clients
    for mirror in mirrors:
        try:
            return mirror, await mirror.manifest(name.tag)
        except RegistryError as error:
            log.warning("the mirror %s does not have %s: %s", mirror.repository, name, error)
    try:
        return registry, await registry.manifest(name.tag)
    except RegistryError as error:
        raise error.during("pull model manifest") from error.__cause__


def read_manifest(data: bytes, name: ModelName) -> Manifest:
    """What a registry has sent as manifest. Raises RegistryMisbehaved, InvalidDigest."""
    try:
        digests = _digests(parse_json(data))
        if not all(digests):
            raise RegistryMisbehaved(f"{name.namespace}/{name.model}: digest is empty")
        manifest = Manifest.decode(data)
    except CorruptManifest as error:
        if isinstance(error.__cause__, InvalidDigest):
            raise error.__cause__ from None
        raise RegistryMisbehaved(f"pull model manifest: {error}") from error
    if manifest.of_type(TENSOR):
        raise RegistryMisbehaved(
            "this model requires MLX support, but the MLX runtime is not available"
        )
    return manifest


def _digests(fields: object) -> list[object]:
    """What the layers have as digest. Whatever is of another form, `Manifest` will say."""
    layers = fields.get("layers") if isinstance(fields, dict) else None
    if not isinstance(layers, list):
        return []
    return [layer.get("digest") for layer in layers if isinstance(layer, dict)]


async def _fetch(
    blobs: Blobs, downloads: Downloads, client: RegistryClient, layer: Layer
) -> AsyncGenerator[Progress, None]:
    """Tells of a file on its way; the last line has all of it."""
    status = f"pulling {short_digest(layer.digest)}"
    told = -1
    if not await asyncio.to_thread(blobs.reuse, layer.digest):
        async with aclosing(downloads.fetch(client, layer)) as counts:
            async for completed in counts:
                if completed not in (told, layer.size):
                    told = completed
                    yield Progress(status, layer.digest, layer.size, completed)
    size = (await asyncio.to_thread(blobs.require(layer.digest).stat)).st_size
    yield Progress(status, layer.digest, size, size)


def short_digest(digest: str) -> str:
    """As much of a digest as the lines for people have."""
    return digest.removeprefix("sha256:")[:12]


def _check_files(blobs: Blobs, manifest: Manifest) -> None:
    """Raises InvalidGguf for a file that llama.cpp must not see as what the manifest calls it."""
    for layer in manifest.layers:
        role = ROLES.get(layer.media_type)
        if role is None:
            continue
        try:
            validate_gguf(blobs.require(layer.digest), role)
        except InvalidGguf as error:
            raise InvalidGguf(f"{short_digest(layer.digest)}: {error}") from error


def _install(library: Library, name: ModelName, data: bytes) -> bool:
    """Whether files of the model that had this name may have gone."""
    replaced = _old_digests(library, name) - Manifest.decode(data).digests
    library.install(name, data)
    return library.prunes_replaced and bool(replaced)


def _old_digests(library: Library, name: ModelName) -> frozenset[str]:
    try:
        return library.manifests.decode(library.canonical(name)).digests
    except (ModelNotFound, CorruptManifest):
        return frozenset()
