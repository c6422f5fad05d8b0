"""A model of the store, read: everything that a request or a listing wants to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from llamawire.engine.store.capabilities import (
    TemplateCapabilities,
    TemplateChoice,
    capabilities,
    choose_template,
    listed,
)
from llamawire.engine.store.gguf import FILE_TYPES, Gguf, GgufCache
from llamawire.engine.store.layers import decode_parameters
from llamawire.engine.store.manifest import (
    ADAPTER,
    DRAFT,
    LICENSE,
    MESSAGES,
    MODEL,
    PARAMS,
    PROJECTOR,
    PROMPT,
    SYSTEM,
    TEMPLATE,
    ConfigBlob,
    Manifest,
    manifest_digest,
)
from llamawire.engine.store.message import Message, decode_messages
from llamawire.engine.store.names import ModelName

__all__ = [
    "Details",
    "Entry",
    "LayerSource",
    "ListedModel",
    "Reading",
    "StoredModel",
    "list_entry",
    "read_model",
]


class LayerSource(Protocol):
    """Where blobs are: the store's folder, or a model in the box."""

    def require(self, digest: str) -> Path:
        """The file of a blob. Raises BlobNotFound."""

    def read(self, digest: str) -> bytes:
        """The bytes of a small blob. Raises BlobNotFound, CorruptManifest if it is not small."""


@dataclass(frozen=True)
class Entry:
    """A manifest that was found, and where its blobs are."""

    name: ModelName
    data: bytes
    manifest: Manifest
    modified_at: datetime
    source: LayerSource

    @property
    def digest(self) -> str:
        """The digest of the model: the hash of the manifest's very bytes, without a prefix."""
        return manifest_digest(self.data)

    def config(self) -> ConfigBlob:
        layer = self.manifest.config
        return ConfigBlob.decode(self.source.read(layer.digest)) if layer else ConfigBlob()

    def bytes_of(self, *media_types: str) -> bytes | None:
        layer = self.manifest.last(*media_types)
        return self.source.read(layer.digest) if layer else None

    def text_of(self, *media_types: str) -> str | None:
        data = self.bytes_of(*media_types)
        return None if data is None else data.decode("utf-8", errors="replace")

    def paths_of(self, media_type: str) -> tuple[Path, ...]:
        layers = self.manifest.of_type(media_type)
        return tuple(self.source.require(layer.digest) for layer in layers)

    def template(self) -> str | None:
        return self.text_of(TEMPLATE, PROMPT)


@dataclass(frozen=True)
class Details:
    """The short description of a model; lengths of zero are not known or not asked for."""

    parent_model: str
    format: str
    family: str
    families: tuple[str, ...]
    parameter_size: str
    quantization_level: str
    context_length: int = 0
    embedding_length: int = 0


@dataclass(frozen=True)
class ListedModel:
    """A line of the list of models."""

    name: ModelName
    digest: str
    size: int
    modified_at: datetime
    details: Details
    capabilities: tuple[str, ...]
    remote_model: str = ""
    remote_host: str = ""


@dataclass(frozen=True)
class Reading:
    """How models are read: what looks into templates, the setting, and the headers at hand."""

    template_capabilities: TemplateCapabilities
    prefer_go: bool | None
    headers: GgufCache


@dataclass(frozen=True)
class StoredModel:
    """One model. Its files were there when it was read; it holds no lock and no open file."""

    name: ModelName
    digest: str
    size: int
    modified_at: datetime
    manifest: Manifest
    config: ConfigBlob
    details: Details
    weights: Path | None
    adapters: tuple[Path, ...]
    projectors: tuple[Path, ...]
    drafts: tuple[Path, ...]
    template: str | None
    system: str
    parameters: Mapping[str, object]
    messages: tuple[Message, ...]
    licenses: tuple[str, ...]
    _reading: Reading = field(repr=False, compare=False)

    @property
    def display(self) -> str:
        return self.name.display

    def gguf(self) -> Gguf | None:
        """The header of the weights, None for a model without. Raises InvalidGguf, OSError."""
        return self._reading.headers.read(self.weights) if self.weights else None

    def projector_ggufs(self) -> list[Gguf]:
        return [self._reading.headers.read(path) for path in self.projectors]

    def template_choice(self) -> TemplateChoice:
        """Which template to render with. Raises as `gguf`, and what a bad template raises."""
        gguf = self.gguf()
        return choose_template(
            self.config,
            self.template,
            gguf.text("tokenizer.chat_template") if gguf else None,
            self._reading.template_capabilities,
            self._reading.prefer_go,
        )

    def capabilities(self) -> tuple[str, ...]:
        """What it can do, without what its built-in parser adds. Raises as `template_choice`."""
        return capabilities(
            self.config,
            self.gguf(),
            self.projector_ggufs(),
            self.template,
            self._reading.template_capabilities,
            self._reading.prefer_go,
        )


def read_model(entry: Entry, reading: Reading) -> StoredModel:
    """Reads the small layers. Raises BlobNotFound, CorruptManifest."""
    weights = entry.paths_of(MODEL)
    params, messages = entry.bytes_of(PARAMS), entry.bytes_of(MESSAGES)
    config = entry.config()
    return StoredModel(
        name=entry.name,
        digest=entry.digest,
        size=entry.manifest.size,
        modified_at=entry.modified_at,
        manifest=entry.manifest,
        config=config,
        details=describe_entry(entry, config),
        weights=weights[-1] if weights else None,
        adapters=entry.paths_of(ADAPTER),
        projectors=entry.paths_of(PROJECTOR),
        drafts=entry.paths_of(DRAFT),
        template=entry.template(),
        system=entry.text_of(SYSTEM) or "",
        parameters={} if params is None else decode_parameters(params),
        messages=() if messages is None else decode_messages(messages),
        licenses=tuple(
            entry.source.read(layer.digest).decode("utf-8", errors="replace")
            for layer in entry.manifest.of_type(LICENSE)
        ),
        _reading=reading,
    )


def describe_entry(entry: Entry, config: ConfigBlob) -> Details:
    """The details of a single model: what its config says."""
    weights = entry.manifest.last(MODEL)
    return Details(
        parent_model=weights.origin if weights else "",
        format=config.model_format,
        family=config.model_family,
        families=config.model_families,
        parameter_size=config.model_type,
        quantization_level=config.file_type,
    )


def list_entry(entry: Entry, reading: Reading) -> ListedModel:
    """The model as a line of the list. Raises StoreError, OSError, and what bad templates raise."""
    config = entry.config()
    weights = entry.paths_of(MODEL)
    head = reading.headers.read(weights[-1], only_head=True) if weights else None
    return ListedModel(
        name=entry.name,
        digest=entry.digest,
        size=entry.manifest.size,
        modified_at=entry.modified_at,
        details=_with_header(describe_entry(entry, config), config, head),
        capabilities=listed(
            config,
            head,
            bool(entry.manifest.of_type(PROJECTOR)),
            entry.template(),
            reading.template_capabilities,
        ),
        remote_model=config.remote_model,
        remote_host=config.remote_host,
    )


def _with_header(details: Details, config: ConfigBlob, head: Gguf | None) -> Details:
    level = details.quantization_level
    if head is not None and level in ("", "unknown"):
        # Only here is a file type of zero taken at its word.
        file_type = head.integer("general.file_type")
        level = "unknown" if file_type is None else FILE_TYPES.get(file_type, "unknown")
    return replace(
        details,
        quantization_level=level,
        context_length=config.context_length or _length(head, "context_length"),
        embedding_length=config.embedding_length or _length(head, "embedding_length"),
    )


def _length(head: Gguf | None, key: str) -> int:
    return (head.integer(key) or 0) if head else 0
