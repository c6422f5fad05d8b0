"""Where the parts of a new model come from: uploaded files, or a model that is there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace

from llamawire.engine.store.blobs import Blob, normalize_digest
from llamawire.engine.store.chat_template import DetectTemplate, NamedTemplate, chat_template
from llamawire.engine.store.create_request import Progress, is_clean_path, unsupported
from llamawire.engine.store.create_split import Shard, merged, shard_of
from llamawire.engine.store.errors import CreateError, InvalidGguf, ModelNotFound
from llamawire.engine.store.gguf import (
    Gguf,
    check_adapter_suits,
    is_gguf,
    read_gguf,
    validate_gguf,
)
from llamawire.engine.store.layers import decode_parameters
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import (
    ADAPTER,
    FILE_TYPES,
    MODEL,
    PARAMS,
    PROJECTOR,
    TEMPLATE,
    ConfigBlob,
    Layer,
)
from llamawire.engine.store.model import Entry
from llamawire.engine.store.names import ModelName, parse_source

__all__ = ["Parts", "add_adapters", "add_template", "from_files", "from_model"]


@dataclass(frozen=True)
class Parts:
    """What a model is made of so far: its layers in order and the headers behind them."""

    layers: tuple[Layer, ...] = ()
    weights: Gguf | None = None
    projectors: tuple[Gguf, ...] = ()
    config: ConfigBlob = field(default_factory=ConfigBlob)
    parameters: Mapping[str, object] = field(default_factory=dict)
    base: Entry | None = None
    named: NamedTemplate | None = None  # The template among the layers, if it was found for them.
    made: frozenset[str] = frozenset()  # Digests of the files that this create has written.

    def with_layer(self, layer: Layer, gguf: Gguf | None = None) -> Parts:
        parts = replace(self, layers=(*self.layers, layer))
        if gguf is not None and layer.media_type == MODEL:
            return replace(parts, weights=gguf)
        if gguf is not None and layer.media_type == PROJECTOR:
            return replace(parts, projectors=(*self.projectors, gguf))
        return parts

    def with_made(self, blob: Blob) -> Parts:
        return replace(self, made=self.made | {blob.digest}) if blob.is_new else self


def from_files(
    library: Library, files: Mapping[str, str] | None
) -> Generator[Progress, None, Parts]:
    """The parts that uploaded files are: the weights, whole or split, and projectors beside them.

    Raises CreateError, InvalidDigest, BlobNotFound, InvalidGguf, OSError.
    """
    if files is None:
        raise CreateError("neither 'from' or 'files' was specified")
    if any(path.endswith(".safetensors") for path in files):
        raise unsupported("safetensors files are not supported yet; convert them to GGUF first")
    if not any(_may_be_gguf(library, path, digest) for path, digest in files.items()):
        raise CreateError("unknown type")
    opened = []
    for path, digest in sorted(files.items()):
        yield Progress("parsing GGUF")
        opened.append(_open(library, path, digest))
    parts = Parts()
    for group in _groups(opened):
        shards = [file.shard for file in group if file.shard]
        layer, gguf = group[0].layer, group[0].gguf
        if shards:
            blob, gguf = yield from merged(library, shards)
            layer = Layer(FILE_TYPES[gguf.role], blob.digest, blob.size)
            parts = parts.with_made(blob)
        if layer.media_type == MODEL and parts.weights is not None:
            raise unsupported(
                f'"{group[0].path}" is a second model; one file of weights is supported'
            )
        parts = parts.with_layer(layer, gguf)
    if parts.weights is None:
        raise CreateError("no base model was found")
    return parts


def add_template(library: Library, parts: Parts, detect: DetectTemplate) -> Parts:
    """The parts with the named template that does what the one in the weights does, if any.

    Raises InvalidGguf, OSError.
    """
    chat = chat_template(parts.weights) if parts.weights else None
    named = detect(chat) if chat else None
    if named is None:
        return parts
    blob = library.blobs.put(named.template.encode())
    layer = Layer(TEMPLATE, blob.digest, blob.size)
    stop = {"stop": list(named.stop)} if named.stop else {}
    return replace(parts.with_layer(layer), named=named, parameters={**parts.parameters, **stop})


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
        file = _open(library, path, digest)
        if file.shard:
            raise unsupported(f'split GGUF "{path}" cannot be an adapter; merge it first')
        if file.layer.media_type != ADAPTER:
            raise CreateError(f'"{path}" is not an adapter')
        if parts.weights is not None:
            _check_suits(path, file.gguf, parts.weights)
        parts = parts.with_layer(file.layer, file.gguf)
    return parts


def _check_suits(path: str, adapter: Gguf, weights: Gguf) -> None:
    try:
        check_adapter_suits(adapter, weights)
    except InvalidGguf as error:
        raise CreateError(f'"{path}" does not suit the model: {error}') from error


def _may_be_gguf(library: Library, path: str, digest: str) -> bool:
    return path.endswith(".gguf") or is_gguf(library.blobs.require(digest))


@dataclass(frozen=True)
class _File:
    """An uploaded file; if it is a shard, its layer is not one that a model can have."""

    path: str
    layer: Layer
    gguf: Gguf
    shard: Shard | None


def _open(library: Library, path: str, digest: str) -> _File:
    blob = library.blobs.require(digest)
    if not is_gguf(blob):
        raise CreateError("supplied file was not in GGUF format")
    gguf = read_gguf(blob)
    shard = shard_of(path, gguf)
    if shard is None:
        # Only the first shard has the metadata of the model: shards are validated as a whole.
        gguf = validate_gguf(blob)
    layer = Layer(FILE_TYPES[gguf.role], normalize_digest(digest), blob.stat().st_size)
    return _File(path, layer, gguf, shard)


def _groups(files: Iterable[_File]) -> list[list[_File]]:
    """The files in order, the shards of one model together in the place of their first."""
    groups: dict[object, list[_File]] = {}
    for file in files:
        key = file.shard.group if file.shard else file.path
        groups.setdefault(key, []).append(file)
    return list(groups.values())


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
