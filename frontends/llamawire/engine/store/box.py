"""The model in the box: a Modelfile and a GGUF inside the package, read-only.

It looks like a model of the store whose blobs are elsewhere: the weights are the file itself, the
other layers are in memory, and nothing is written until somebody copies it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llamawire import modelfile
from llamawire.engine.store.blobs import digest_of, digest_of_file
from llamawire.engine.store.errors import BlobNotFound, StoreError
from llamawire.engine.store.gguf import validate_gguf
from llamawire.engine.store.layers import TextLayer, describe, text_layers
from llamawire.engine.store.manifest import CONFIG, MODEL, ConfigBlob, Layer, Manifest
from llamawire.engine.store.message import Message
from llamawire.engine.store.model import Entry
from llamawire.engine.store.names import ModelName

__all__ = ["BoxModel"]

NAME = "tiny"
WEIGHTS = "tiny.gguf"


class BoxModel:
    """One model in a folder. Threads may share it; the weights are hashed at the first need."""

    def __init__(self, name: ModelName, weights: Path, modelfile: modelfile.Modelfile) -> None:
        self.name = name
        self._weights = weights
        self._modelfile = modelfile
        self._content: _Content | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path) -> BoxModel:
        """The model whose `Modelfile` and `tiny.gguf` lie in `folder`.

        Raises OSError if a file is missing and ModelfileError if the Modelfile is none.
        """
        text = (folder / "Modelfile").read_bytes()
        weights = folder / WEIGHTS
        weights.stat()
        return cls(ModelName.parse(NAME), weights, modelfile.parse(text))

    def entry(self) -> Entry:
        """As the store has entries. Raises InvalidGguf, OSError and ModelfileError."""
        content = self._load()
        modified_at = datetime.fromtimestamp(self._weights.stat().st_mtime).astimezone()
        return Entry(self.name, content.manifest.encode(), content.manifest, modified_at, self)

    def require(self, digest: str) -> Path:
        if digest != self._load().weights_digest:
            raise BlobNotFound(digest, str(self._weights.parent / digest))
        return self._weights

    def read(self, digest: str) -> bytes:
        data = self._load().texts.get(digest)
        if data is None:
            raise BlobNotFound(digest, str(self._weights.parent / digest))
        return data

    def _load(self) -> _Content:
        with self._lock:
            if self._content is None:
                self._content = _load(self._weights, self._modelfile)
            return self._content


@dataclass(frozen=True)
class _Content:
    manifest: Manifest
    weights_digest: str
    texts: dict[str, bytes]


def _load(weights: Path, commands: modelfile.Modelfile) -> _Content:
    gguf = validate_gguf(weights)
    if gguf.role != "model":
        raise StoreError(f"{weights.name} is not the weights of a model")
    base = ConfigBlob(
        renderer=commands.renderer, parser=commands.parser, requires=commands.requires
    )
    config = describe(base, gguf, ()).encode()
    layers = text_layers(
        template=commands.template,
        system=commands.system,
        licenses=commands.licenses,
        parameters=commands.parameters().values,
        messages=[Message(role, content) for role, content in commands.messages],
    )
    digest = digest_of_file(weights)
    weights_layer = Layer(MODEL, digest, weights.stat().st_size)
    manifest = Manifest(
        _layer(TextLayer(CONFIG, config)), (weights_layer, *(_layer(layer) for layer in layers))
    )
    texts = {digest_of(layer.data): layer.data for layer in layers}
    return _Content(manifest, digest, texts | {digest_of(config): config})


def _layer(layer: TextLayer) -> Layer:
    return Layer(layer.media_type, digest_of(layer.data), len(layer.data))
