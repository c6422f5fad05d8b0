"""A model's manifest and config: what they hold, and their bytes.

A manifest names the blobs of a model; the hash of its bytes is the model's digest. What we write
follows Go's encoder to the byte, so that one folder serves two programs. What others wrote is
read with patience: pretty-printed, without config, with fields that nobody knows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from llamawire.engine.store import gojson
from llamawire.engine.store.blobs import normalize_digest
from llamawire.engine.store.errors import CorruptManifest, InvalidDigest

__all__ = [
    "ADAPTER",
    "CONFIG",
    "DRAFT",
    "FILE_TYPES",
    "LICENSE",
    "MANIFEST",
    "MESSAGES",
    "MODEL",
    "PARAMS",
    "PROJECTOR",
    "PROMPT",
    "SYSTEM",
    "TEMPLATE",
    "ConfigBlob",
    "Layer",
    "Manifest",
    "manifest_digest",
    "parse_json",
]

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
MODEL = "application/vnd.ollama.image.model"
PROJECTOR = "application/vnd.ollama.image.projector"
ADAPTER = "application/vnd.ollama.image.adapter"
DRAFT = "application/vnd.ollama.image.draft"
TEMPLATE = "application/vnd.ollama.image.template"
PROMPT = "application/vnd.ollama.image.prompt"  # An old name of TEMPLATE; never written.
SYSTEM = "application/vnd.ollama.image.system"
PARAMS = "application/vnd.ollama.image.params"
MESSAGES = "application/vnd.ollama.image.messages"
LICENSE = "application/vnd.ollama.image.license"

FILE_TYPES = {"model": MODEL, "projector": PROJECTOR, "adapter": ADAPTER}
"""The layers that are GGUF files, by the role that the file has."""


@dataclass(frozen=True)
class Layer:
    """One blob of a model. `origin` is the JSON field `from`: the model it was taken from."""

    media_type: str
    digest: str
    size: int
    origin: str = ""
    name: str = ""

    def fields(self) -> dict[str, object]:
        """As JSON has it, in its order."""
        known = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        optional = {"from": self.origin, "name": self.name}
        return known | {key: value for key, value in optional.items() if value}


@dataclass(frozen=True)
class Manifest:
    """The blobs of a model, in order. `config` is None if the manifest names none."""

    config: Layer | None
    layers: tuple[Layer, ...]

    @property
    def blobs(self) -> tuple[Layer, ...]:
        """Every blob of the model, the config last."""
        return self.layers if self.config is None else (*self.layers, self.config)

    @property
    def size(self) -> int:
        """The sum of what the manifest states, a layer that is listed twice counted twice."""
        return sum(layer.size for layer in self.blobs)

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all its blobs, in the spelling of `normalize_digest`."""
        return frozenset(layer.digest for layer in self.blobs)

    def of_type(self, *media_types: str) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.media_type in media_types)

    def last(self, *media_types: str) -> Layer | None:
        """The layer that counts where one is used: the last one."""
        found = self.of_type(*media_types)
        return found[-1] if found else None

    def encode(self) -> bytes:
        config = self.config or Layer("", "", 0)
        return gojson.encode(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.fields(),
                "layers": [layer.fields() for layer in self.layers] or None,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Raises CorruptManifest for anything that is not a manifest."""
        fields = parse_json(data)
        if not isinstance(fields, dict):
            raise CorruptManifest("the manifest is not a JSON object")
        config = fields.get("config")
        layers = fields.get("layers") or []
        if not isinstance(layers, list):
            raise CorruptManifest("the manifest's layers are not a list")
        has_config = isinstance(config, dict) and bool(config.get("digest"))
        return cls(
            _decode_layer(config) if has_config else None,
            tuple(_decode_layer(layer) for layer in layers),
        )


def _decode_layer(value: object) -> Layer:
    if not isinstance(value, dict):
        raise CorruptManifest("a layer of the manifest is not a JSON object")
    try:
        digest = normalize_digest(_text(value, "digest"))
    except InvalidDigest as error:
        raise CorruptManifest(f"a layer of the manifest: {error}") from error
    return Layer(
        media_type=_text(value, "mediaType"),
        digest=digest,
        size=_whole(value, "size"),
        origin=_text(value, "from"),
        name=_text(value, "name"),
    )


@dataclass(frozen=True)
class ConfigBlob:
    """What a model says of itself apart from its weights; the fields stand in JSON's order."""

    model_format: str = ""
    model_family: str = ""
    model_families: tuple[str, ...] = ()
    model_type: str = ""
    file_type: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: tuple[str, ...] = ()
    context_length: int = 0
    embedding_length: int = 0
    base_name: str = ""

    def encode(self) -> bytes:
        optional = {
            "renderer": self.renderer,
            "parser": self.parser,
            "requires": self.requires,
            "remote_host": self.remote_host,
            "remote_model": self.remote_model,
            "capabilities": self.capabilities,
            "context_length": self.context_length,
            "embedding_length": self.embedding_length,
            "base_name": self.base_name,
        }
        return gojson.encode(
            {
                "model_format": self.model_format,
                "model_family": self.model_family,
                "model_families": self.model_families or None,
                "model_type": self.model_type,
                "file_type": self.file_type,
                **{key: value for key, value in optional.items() if value},
                "architecture": "amd64",
                "os": "linux",
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> ConfigBlob:
        """Raises CorruptManifest if this is no JSON object or a known field has another type."""
        fields = parse_json(data)
        if not isinstance(fields, dict):
            raise CorruptManifest("the config is not a JSON object")
        return cls(
            model_format=_text(fields, "model_format"),
            model_family=_text(fields, "model_family"),
            model_families=_texts(fields, "model_families"),
            model_type=_text(fields, "model_type"),
            file_type=_text(fields, "file_type"),
            renderer=_text(fields, "renderer"),
            parser=_text(fields, "parser"),
            requires=_text(fields, "requires"),
            remote_host=_text(fields, "remote_host"),
            remote_model=_text(fields, "remote_model"),
            capabilities=_texts(fields, "capabilities"),
            context_length=_whole(fields, "context_length"),
            embedding_length=_whole(fields, "embedding_length"),
            base_name=_text(fields, "base_name"),
        )


def parse_json(data: bytes) -> object:
    """JSON that lies on disk. Raises CorruptManifest, whatever the bytes are."""
    try:
        value: object = json.loads(data)
        return _without_surrogates(value) if b"\\ud" in data.lower() else value
    except (ValueError, RecursionError) as error:
        raise CorruptManifest(f"not JSON: {error}") from error


def _without_surrogates(value: object) -> object:
    """The value with U+FFFD for halves of surrogate pairs, which no other text format can say."""
    text = json.dumps(value, ensure_ascii=False)
    clean: object = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return clean


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorruptManifest(f"{key} is not a string")
    return value


def _texts(fields: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CorruptManifest(f"{key} is not a list of strings")
    return tuple(value)


def _whole(fields: Mapping[str, object], key: str) -> int:
    value = fields.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CorruptManifest(f"{key} is not a whole number")
    return value


def manifest_digest(data: bytes) -> str:
    """The digest of a model: the hash of its manifest's very bytes, without a prefix."""
    return hashlib.sha256(data).hexdigest()
