"""The library: all models of one folder, and below them, if there is one, those in the box.

What lies on disk is Ollama's format, so that both may use one folder. The order of every change
keeps it whole at each moment: blobs first, then the manifest in one rename; a manifest goes
before its blobs. Names are found whatever their case and kept in the spelling they came with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from llamawire.engine.store import prune
from llamawire.engine.store.blobs import Blob, Blobs
from llamawire.engine.store.box import Box
from llamawire.engine.store.capabilities import TemplateCapabilities
from llamawire.engine.store.errors import (
    BlobNotFound,
    CorruptManifest,
    ModelNotFound,
    StoreError,
    StoreReadOnly,
)
from llamawire.engine.store.gguf import GgufCache
from llamawire.engine.store.lock import StoreLock
from llamawire.engine.store.manifest import FILE_TYPES, Layer, Manifest
from llamawire.engine.store.manifests import Manifests
from llamawire.engine.store.model import (
    Entry,
    LayerSource,
    ListedModel,
    Reading,
    StoredModel,
    list_entry,
    read_model,
)
from llamawire.engine.store.model_cache import ModelCache, state_of
from llamawire.engine.store.names import ModelName
from llamawire.engine.store.temps import remove_abandoned

__all__ = ["Library"]

LOCK_FILE = ".llamawire.lock"

log = logging.getLogger(__name__)


def _no_capabilities(template: str) -> set[str]:
    return set()


class Library:
    """The models of `root`, which need not exist yet. Every method may be called from any thread.

    `template_capabilities` says what a Go template uses, a subset of tools, insert and thinking,
    and raises ValueError if it does not parse. `prefer_go` is the setting OLLAMA_GO_TEMPLATE.
    With `prune_replaced` off, blobs go by `delete` and `prune` only, not when a name is reused.
    """

    def __init__(
        self,
        root: Path,
        lower: Box | None = None,
        *,
        template_capabilities: TemplateCapabilities = _no_capabilities,
        prefer_go: bool | None = None,
        prune_replaced: bool = True,
    ) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs")
        self.manifests = Manifests(root / "manifests", root / "blobs")
        self._lower = lower or Box(())
        self._lock = StoreLock(root / LOCK_FILE)
        self._reading = Reading(template_capabilities, prefer_go, GgufCache())
        self._models = ModelCache()
        self.prunes_replaced = prune_replaced

    def list(self) -> list[ListedModel]:
        """All models, the latest first. What cannot be read is left out, with a warning."""
        models = [model for entry in self._entries() if (model := self._listed(entry))]
        return sorted(models, key=lambda model: (-int(model.modified_at.timestamp()), model.name))

    def get(self, name: ModelName) -> StoredModel:
        """One model. Raises ModelNotFound, also if a file of it is missing, and CorruptManifest."""
        model = self._models.find(name)
        if model is None:
            # Read once to know where to look, and again after that: no change falls in between.
            state = state_of(self._paths(name, self._read_model(name)))
            model = self._read_model(name)
            self._models.keep(name, state, model)
        return model

    def _paths(self, name: ModelName, model: StoredModel) -> Iterator[str]:
        """Everything whose change may make `name` another model, or none."""
        for manifest in {self.manifests.path(name), self.manifests.path(model.name)}:
            # Of the folders, those in which a name may appear that is spelled in another way.
            yield from map(str, (manifest, *manifest.parents[:4]))
        yield from (str(self.blobs.path(digest)) for digest in model.manifest.digests)
        if model.weights is not None:
            yield str(model.weights)

    def _read_model(self, name: ModelName) -> StoredModel:
        entry = self.entry(name)
        try:
            return read_model(entry, self._reading)
        except BlobNotFound as error:
            log.warning("model '%s' is not complete: %s", entry.name, error)
            raise ModelNotFound(entry.name.display) from error

    def entry(self, name: ModelName) -> Entry:
        """A model's manifest and where its blobs are. Raises ModelNotFound, CorruptManifest."""
        name = self.canonical(name)
        try:
            return self._read_entry(name)
        except ModelNotFound:
            boxed = self._lower.find(name)
            if boxed is None:
                raise
            return boxed.entry()

    def canonical(self, name: ModelName) -> ModelName:
        """The name as the store spells it already, or as it is given."""
        return self.manifests.canonical(name, self._lower.names)

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """Gives a model a second name. The manifest keeps its bytes, so the digest stays.

        Raises ModelNotFound for the source; both names being one is no error. Copying a model
        in the box writes its blobs into the folder.
        """
        if self.canonical(source).path == self.canonical(destination).path:
            return
        with self._lock.held():
            # Under the lock the blobs stay until the manifest names them: nobody deletes meanwhile.
            entry = self.entry(source)
            if entry.source is not self.blobs:
                for layer in entry.manifest.blobs:
                    self.store_layer(layer, entry.source)
            self._install(destination, entry.data)

    def delete(self, name: ModelName) -> None:
        """Removes a model and the blobs that no other one uses.

        Raises ModelNotFound, CorruptManifest, and StoreReadOnly for a model in the box.
        """
        with self._lock.held():
            name = self.canonical(name)
            try:
                manifest = self.manifests.decode(name)
            except ModelNotFound:
                if self._lower.find(name) is None:
                    raise
                raise StoreReadOnly(name.display) from None
            self.manifests.delete(name)
            self._remove_unreferenced(manifest.digests)

    def store_layer(self, layer: Layer, source: LayerSource) -> Blob:
        """Makes sure that a layer's blob is in the folder, and young. Raises BlobNotFound."""
        if self.blobs.reuse(layer.digest):
            return Blob(layer.digest, layer.size, is_new=False)
        if layer.media_type in FILE_TYPES.values():
            return self.blobs.put_file(source.require(layer.digest), layer.digest)
        return self.blobs.put(source.read(layer.digest))

    def install(self, name: ModelName, manifest: bytes, texts: Iterable[bytes] = ()) -> None:
        """Makes a manifest the model of that name, in place of one that has it.

        Its blobs must be in the folder: raises BlobNotFound, and then the old model stays. The
        small ones may be given as `texts`: they are stored once more if somebody's delete, which
        could not know of this manifest, has taken them away since they were written.
        """
        with self._lock.held():
            for text in texts:
                self.blobs.put(text)
            for digest in Manifest.decode(manifest).digests:
                self.blobs.touch(digest)
            self._install(name, manifest)

    def remove_abandoned(self) -> tuple[str, ...]:
        """Removes what processes that are gone were still writing; gives its names.

        For the start, pruning or not: nothing of this was ever a part of a model.
        """
        with self._lock.held():
            return tuple(remove_abandoned(self.blobs.folder))

    def prune(self, clock: Callable[[], float] = time.time) -> tuple[str, ...]:
        """Removes what no model uses and is older than an hour; meant for the start.

        Gives the names of the files removed, none if any manifest cannot be read.
        """
        with self._lock.held():
            return tuple(prune.prune(self.blobs, self.manifests, clock()))

    def rename_old_blobs(self) -> None:
        """Gives blobs of the oldest format their name of today; for the start, pruning or not."""
        if any(prune.old_blobs(self.blobs.folder)):
            with self._lock.held():
                prune.rename_old_blobs(self.blobs.folder)

    def _entries(self) -> Iterator[Entry]:
        names = self.manifests.names()
        known = {name.folded for name in names}
        names += [name for name in self._lower.names if name.folded not in known]
        for name in names:
            try:
                yield self.entry(name)
            except (StoreError, OSError, ValueError) as error:
                log.warning("model '%s' is left out of the list: %s", name, error)

    def _listed(self, entry: Entry) -> ListedModel | None:
        try:
            return list_entry(entry, self._reading)
        except (StoreError, OSError, ValueError) as error:
            log.warning("model '%s' is left out of the list: %s", entry.name, error)
            return None

    def _read_entry(self, name: ModelName) -> Entry:
        data = self.manifests.read(name)
        try:
            manifest = Manifest.decode(data)
            modified_at = self.manifests.path(name).stat().st_mtime
        except CorruptManifest as error:
            raise CorruptManifest(f"manifest of '{name}': {error}") from error
        except FileNotFoundError:
            raise ModelNotFound(name.display) from None
        local_time = datetime.fromtimestamp(modified_at).astimezone()
        return Entry(name, data, manifest, local_time, self.blobs)

    def _install(self, name: ModelName, data: bytes) -> None:
        name = self.canonical(name)
        try:
            replaced = self.manifests.decode(name).digests
        except (ModelNotFound, CorruptManifest):
            replaced = frozenset()
        self.manifests.write(name, data)
        if self.prunes_replaced:
            self._remove_unreferenced(replaced)

    def _remove_unreferenced(self, digests: frozenset[str]) -> None:
        used = self._referenced() if digests else frozenset()
        for digest in digests - used:
            self.blobs.delete(digest)

    def _referenced(self) -> frozenset[str]:
        """What the readable manifests use. One that cannot be read cannot be used either."""
        digests: set[str] = set()
        for name in self.manifests.names():
            try:
                digests |= self.manifests.decode(name).digests
            except (StoreError, OSError) as error:
                log.warning("not counted: %s", error)
        return frozenset(digests)
