"""The folder of the manifests: `manifests/<host>/<namespace>/<model>/<tag>`.

Four levels, one file a model. Anything else that lies there is not ours; at the fourth level it
keeps everybody's clean-up from running, so nothing temporary may be written there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from llamawire.engine.store.blobs import BLOB_MODE
from llamawire.engine.store.errors import CorruptManifest, InvalidName, ModelNotFound
from llamawire.engine.store.manifest import Manifest
from llamawire.engine.store.names import ModelName
from llamawire.engine.store.temps import locked_file

__all__ = ["Manifests"]

# A model of ten thousand tensor layers has a manifest of about 2.5 MB.
MANIFEST_BYTES_MAX = 16 << 20

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)

log = logging.getLogger(__name__)


class Manifests:
    """Reads and replaces manifests. Each call looks at the disk: others write there too."""

    def __init__(self, folder: Path, temp_folder: Path) -> None:
        self.folder = folder
        self._temp_folder = temp_folder

    def path(self, name: ModelName) -> Path:
        if not name.is_valid:
            raise InvalidName(name.full)
        return self.folder / name.path

    def exists(self, name: ModelName) -> bool:
        try:
            return self.path(name).is_file()
        except OSError:
            # A host may be longer than the file system allows; then it surely is not there.
            return False

    def names(self) -> list[ModelName]:
        """The names of all manifests, sorted; files with other names are left out."""
        names = []
        for path in self.files():
            try:
                names.append(ModelName.from_path(path.relative_to(self.folder)))
            except InvalidName:
                log.warning("not the name of a manifest: %s", path)
        return sorted(names)

    def files(self) -> Iterator[Path]:
        """Every file at the fourth level, whatever its name."""
        folders = [self.folder]
        for _ in range(3):
            folders = [child for folder in folders for child in _children(folder, are_folders=True)]
        for folder in folders:
            yield from _children(folder, are_folders=False)

    def read(self, name: ModelName) -> bytes:
        """The bytes on disk. Raises ModelNotFound, CorruptManifest."""
        try:
            # A pipe would keep its reader waiting for ever.
            if not self.path(name).is_file():
                raise ModelNotFound(name.display)
            with self.path(name).open("rb") as file:
                data = file.read(MANIFEST_BYTES_MAX + 1)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ModelNotFound(name.display) from None
            raise
        if len(data) > MANIFEST_BYTES_MAX:
            raise CorruptManifest(f"the manifest of '{name}' is larger than {MANIFEST_BYTES_MAX}")
        return data

    def decode(self, name: ModelName) -> Manifest:
        try:
            return Manifest.decode(self.read(name))
        except CorruptManifest as error:
            raise CorruptManifest(f"manifest of '{name}': {error}") from error

    def write(self, name: ModelName, data: bytes) -> None:
        """Replaces the manifest in one step: a reader sees the old bytes or the new ones."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temp_folder.mkdir(parents=True, exist_ok=True)
        handle, temp = locked_file(self._temp_folder)
        with os.fdopen(handle, "wb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), BLOB_MODE)
                os.replace(temp, path)
            except BaseException:
                temp.unlink(missing_ok=True)
                raise

    def delete(self, name: ModelName) -> None:
        """Removes the manifest and the folders that it leaves empty. Raises ModelNotFound."""
        path = self.path(name)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            raise ModelNotFound(name.display) from None
        for parent in path.parents[:3]:
            _remove_if_empty(parent)

    def remove_empty_folders(self) -> None:
        for folder, _, _ in os.walk(self.folder, topdown=False):
            _remove_if_empty(Path(folder))

    def canonical(self, name: ModelName, others: tuple[ModelName, ...] = ()) -> ModelName:
        """The name in the spelling that the store has for it already.

        The whole name counts first; failing that each part by itself, so that a new model below
        `Foo/` goes into the folder `foo` that is there. `others` are names known beside the disk.
        """
        if self.exists(name):
            return name
        known = [*self.names(), *others]
        for other in known:
            if other.folded == name.folded:
                return other
        spelling = (
            _spelling(part, [other.parts[index] for other in known])
            for index, part in enumerate(name.parts)
        )
        return ModelName(*spelling)


def _spelling(part: str, known: list[str]) -> str:
    if part in known:
        return part
    return next((other for other in known if other.lower() == part.lower()), part)


def _children(folder: Path, are_folders: bool) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir() == are_folders]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_if_empty(folder: Path) -> None:
    # It is not empty, or somebody was faster: both are well.
    with contextlib.suppress(OSError):
        folder.rmdir()
