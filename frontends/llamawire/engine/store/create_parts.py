"""Where the parts of a new model come from: uploaded files, or a model that is there."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

from llamawire.engine.store.blobs import normalize_digest
from llamawire.engine.store.create_request import Progress, is_clean_path, unsupported
from llamawire.engine.store.errors import CreateError, ModelNotFound
from llamawire.engine.store.gguf import Gguf, is_gguf, read_gguf, validate_gguf
from llamawire.engine.store.layers import decode_parameters
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import ADAPTER, MODEL, PARAMS, PROJECTOR, ConfigBlob, Layer
from llamawire.engine.store.model import Entry
from llamawire.engine.store.names import ModelName, parse_source

__all__ = ["Parts", "add_adapters", "from_files", "from_model"]

_MEDIA_TYPES = {"model": MODEL, "projector": PROJECTOR, "adapter": ADAPTER}


@dataclass(frozen=True)
class Parts:
    """What a model is made of so far: its layers in order and the headers behind them."""

    layers: tuple[Layer, ...] = ()
    weights: Gguf | None = None
    projectors: tuple[Gguf, ...] = ()
    config: ConfigBlob = field(default_factory=ConfigBlob)
    parameters: Mapping[str, object] = field(default_factory=dict)
    base: Entry | None = None

    def with_layer(self, layer: Layer, gguf: Gguf | None = None) -> Parts:
        parts = replace(self, layers=(*self.layers, layer))
        if gguf is not None and layer.media_type == MODEL:
            return replace(parts, weights=gguf)
        if gguf is not None and layer.media_type == PROJECTOR:
            return replace(parts, projectors=(*self.projectors, gguf))
        return parts


def from_files(
    library: Library, files: Mapping[str, str] | None
) -> Generator[Progress, None, Parts]:
    """The parts that uploaded files are: one GGUF of weights, and projectors beside it.

    Raises CreateError, InvalidDigest, BlobNotFound, InvalidGguf, OSError.
    """
    if files is None:
        raise CreateError("neither 'from' or 'files' was specified")
    if any(path.endswith(".safetensors") for path in files):
        raise unsupported("safetensors files are not supported yet; convert them to GGUF first")
    if not any(_may_be_gguf(library, path, digest) for path, digest in files.items()):
        raise CreateError("unknown type")
    parts = Parts()
    for path, digest in sorted(files.items()):
        yield Progress("parsing GGUF")
        layer, gguf = _open(library, path, digest)
        if layer.media_type == MODEL and parts.weights is not None:
            raise unsupported(f'"{path}" is a second model; one file of weights is supported')
        parts = parts.with_layer(layer, gguf)
    if parts.weights is None:
        raise CreateError("no base model was found")
    return parts


def from_model(library: Library, base: str) -> Generator[Progress, None, Parts]:
    """The parts of a model that is in the store.

    Raises InvalidName, CreateError if it is not there, CorruptManifest, BlobNotFound, InvalidGguf.
    """
    name = ModelName.parse(parse_source(base).base)
    try:
        entry = library.entry(name)
    except ModelNotFound as error:
        yield Progress("pulling manifest")
        text = "pull model manifest: file does not exist"
        raise CreateError(text, "INTERNAL", "CREATE_FAILED") from error
    params = entry.bytes_of(PARAMS)
    parts = Parts(parameters={} if params is None else decode_parameters(params), base=entry)
    for layer in entry.manifest.layers:
        is_described = layer.media_type in (MODEL, PROJECTOR)
        gguf = read_gguf(entry.source.require(layer.digest)) if is_described else None
        parts = parts.with_layer(replace(layer, origin=entry.name.display), gguf)
    return replace(parts, config=_inherited(entry.config(), parts.weights is not None))


def add_adapters(
    library: Library, parts: Parts, adapters: Mapping[str, str]
) -> Generator[Progress, None, Parts]:
    """The parts with a LoRA adapter. Raises as `from_files`."""
    for path in adapters:
        if not is_clean_path(path):
            raise CreateError(f"file path must be relative: {path}")
        if path.endswith(".safetensors"):
            raise unsupported("safetensors adapters are not supported yet; convert them to GGUF")
    if len(adapters) > 1:
        raise CreateError("only one adapter is currently supported")
    for path, digest in adapters.items():
        yield Progress("parsing GGUF")
        layer, gguf = _open(library, path, digest)
        if layer.media_type != ADAPTER:
            raise CreateError(f'"{path}" is not an adapter')
        parts = parts.with_layer(layer, gguf)
    return parts


def _may_be_gguf(library: Library, path: str, digest: str) -> bool:
    return path.endswith(".gguf") or is_gguf(library.blobs.require(digest))


def _open(library: Library, path: str, digest: str) -> tuple[Layer, Gguf]:
    blob = library.blobs.require(digest)
    if not is_gguf(blob):
        raise CreateError("supplied file was not in GGUF format")
    gguf = validate_gguf(blob)
    if (gguf.integer("split.count") or 0) > 1 or gguf.metadata.get("split.count", 0) not in (0, 1):
        raise unsupported(
            f'split GGUF "{path}" is not supported yet; merge it with llama-gguf-split --merge'
        )
    layer = Layer(_MEDIA_TYPES[gguf.role], normalize_digest(digest), blob.stat().st_size)
    return layer, gguf


def _inherited(base: ConfigBlob, has_weights: bool) -> ConfigBlob:
    """What a config passes on. What files say is found anew, if there are files."""
    if not has_weights:
        return base
    return ConfigBlob(
        model_format=base.model_format,
        renderer=base.renderer,
        parser=base.parser,
        requires=base.requires,
        capabilities=base.capabilities,
    )
