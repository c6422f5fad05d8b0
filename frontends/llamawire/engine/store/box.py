"""The models in the box: Modelfiles and their GGUFs in one folder of the package, read-only.

They look like models of the store whose blobs are elsewhere: weights, projectors and adapters are
the files themselves, the other layers are in memory, and nothing is written until somebody makes a
copy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llamawire import modelfile
from llamawire.engine.store.blobs import digest_of, digest_of_file
from llamawire.engine.store.errors import BlobNotFound, StoreError
from llamawire.engine.store.gguf import validate_gguf
from llamawire.engine.store.layers import TextLayer, describe, text_layers
from llamawire.engine.store.manifest import CONFIG, FILE_TYPES, ConfigBlob, Layer, Manifest
from llamawire.engine.store.message import Message
from llamawire.engine.store.model import Entry
from llamawire.engine.store.names import ModelName

__all__ = ["Box"]

MODELFILES = {"tiny": "Modelfile", "tiny-vision": "Modelfile.vision"}
"""The names of the models, and where each is described; its FROM and ADAPTER lines name files."""


class BoxModel:
    """One model in a folder. Threads may share it; its files are hashed at the first need."""

    def __init__(self, name: ModelName, files: tuple[Path, ...], commands: modelfile.Modelfile):
        self.name = name
        self._files = files
        self._modelfile = commands
        self._content: _Content | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, name: str, description: Path) -> BoxModel:
        """The model of a Modelfile whose FROM and ADAPTER lines name files beside it.

        Raises OSError if a file is missing and ModelfileError if the Modelfile is none.
        """
        commands = modelfile.parse(description.read_bytes())
        named = (*commands.sources, *commands.adapters)
        files = tuple(description.parent / name for name in named)
        for file in files:
            file.stat()
        return cls(ModelName.parse(name), files, commands)

    def entry(self) -> Entry:
        """As the store has entries. Raises InvalidGguf, StoreError, OSError and ModelfileError."""
        manifest = self._load().manifest
        changed_at = max(file.stat().st_mtime for file in self._files)
        modified_at = datetime.fromtimestamp(changed_at).astimezone()
        return Entry(self.name, manifest.encode(), manifest, modified_at, self)

    def require(self, digest: str) -> Path:
        path = self._load().files.get(digest)
        if path is None:
            raise BlobNotFound(digest, str(self._files[0].parent / digest))
        return path

    def read(self, digest: str) -> bytes:
        data = self._load().texts.get(digest)
        if data is None:
            raise BlobNotFound(digest, str(self._files[0].parent / digest))
        return data

    def _load(self) -> _Content:
        with self._lock:
            if self._content is None:
                self._content = _load(self._files, self._modelfile)
            return self._content


class Box:
    """The models that lie below a library: found by name, whatever its case."""

    def __init__(self, models: Iterable[BoxModel]) -> None:
        self._models = {model.name.folded: model for model in models}

    @classmethod
    def open(cls, folder: Path) -> Box:
        """The models of a folder. Raises as `BoxModel.open`."""
        return cls(BoxModel.open(name, folder / file) for name, file in MODELFILES.items())

    @property
    def names(self) -> tuple[ModelName, ...]:
        return tuple(model.name for model in self._models.values())

    def find(self, name: ModelName) -> BoxModel | None:
        return self._models.get(name.folded)


@dataclass(frozen=True)
class _Content:
    manifest: Manifest
    files: dict[str, Path]
    texts: dict[str, bytes]


def _load(files: tuple[Path, ...], commands: modelfile.Modelfile) -> _Content:
    ggufs = [validate_gguf(file) for file in files]
    if not ggufs or ggufs[0].role != "model":
        raise StoreError("the first file of a Modelfile in the box must be weights")
    base = ConfigBlob(
        renderer=commands.renderer, parser=commands.parser, requires=commands.requires
    )
    projectors = [gguf for gguf in ggufs if gguf.role == "projector"]
    config = describe(base, ggufs[0], projectors).encode()
    layers = text_layers(
        template=commands.template,
        system=commands.system,
        licenses=commands.licenses,
        parameters=commands.parameters().values,
        messages=[Message(role, content) for role, content in commands.messages],
    )
    digests = [digest_of_file(file) for file in files]
    file_layers = [
        Layer(FILE_TYPES[gguf.role], digest, file.stat().st_size)
        for gguf, digest, file in zip(ggufs, digests, files, strict=True)
    ]
    manifest = Manifest(
        _layer(TextLayer(CONFIG, config)), (*file_layers, *(_layer(layer) for layer in layers))
    )
    texts = {digest_of(layer.data): layer.data for layer in layers}
    return _Content(
        manifest, dict(zip(digests, files, strict=True)), texts | {digest_of(config): config}
    )


def _layer(layer: TextLayer) -> Layer:
    return Layer(layer.media_type, digest_of(layer.data), len(layer.data))
