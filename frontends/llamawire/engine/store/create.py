"""Making a model: from an uploaded GGUF or from a model that is there.

Everything that can be wrong is found before the manifest is written, and the manifest is written
last, so a create that fails leaves the old model of that name as it was. Uploaded bytes are kept
as they are, whatever is in them, once they have passed the validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from llamawire.engine.store.blobs import Blob
from llamawire.engine.store.chat_template import ChatTemplate, DetectTemplate, NamedTemplate
from llamawire.engine.store.config_override import override
from llamawire.engine.store.create_parts import (
    Parts,
    add_adapters,
    add_template,
    from_files,
    from_model,
)
from llamawire.engine.store.create_quantize import Quantize, quantized
from llamawire.engine.store.create_request import (
    CreateRequest,
    Progress,
    check_request,
    check_supported,
    unsupported,
)
from llamawire.engine.store.errors import CreateError
from llamawire.engine.store.layers import TextLayer, describe, text_layers
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import CONFIG, TEMPLATE, ConfigBlob, Layer, Manifest
from llamawire.engine.store.names import ModelName

__all__ = ["CheckTemplate", "create"]

# Raises an exception whose text is Go's if the template does not parse.
CheckTemplate = Callable[[str], None]


def no_template(template: ChatTemplate) -> None:
    """Finds a named template for nothing: every file is used with its own."""


def cannot_quantize(source: Path, target: Path, type_: str) -> Iterator[float]:
    """For who has nothing to quantize with."""
    raise unsupported("quantize is not supported here")


def create(
    library: Library,
    request: CreateRequest,
    check_template: CheckTemplate,
    detect_template: DetectTemplate = no_template,
    quantize: Quantize = cannot_quantize,
) -> Iterator[Progress]:
    """Makes the model, telling of each step; the last line is `success`.

    `detect_template` finds the Go template for what an uploaded file has in it; `quantize` writes
    weights in another type.

    No lock is held between two lines, so the iterator may be left at any of them. Raises
    CreateError, InvalidName, InvalidDigest, BlobNotFound, InvalidGguf, CorruptManifest, OSError.
    """
    check_request(request)
    name = ModelName.parse(request.model)
    check_supported(request)
    if request.base:
        parts = yield from from_model(library, request.base)
    else:
        parts = yield from from_files(library, request.files)
        parts = add_template(library, parts, detect_template)
    if request.quantize:
        parts = yield from quantized(library, parts, request.quantize, quantize)
    parts = yield from add_adapters(library, parts, request.adapters)
    config = override(_config(parts, request), request.info).encode()
    texts = _text_layers(parts, request, check_template)
    layers = _kept_layers(parts, texts)
    source = parts.base.source if parts.base else library.blobs
    kept = []
    for layer in layers:
        named = parts.named if layer.media_type == TEMPLATE else None
        kept += [named.template.encode()] if named else []
        blob = library.store_layer(layer, source)
        blob = replace(blob, is_new=blob.is_new or layer.digest in parts.made)
        yield _layer_line(blob, named)
    for text in texts:
        blob = library.blobs.put(text.data)
        layers.append(Layer(text.media_type, blob.digest, blob.size))
        yield _layer_line(blob)
    config_blob = library.blobs.put(config)
    yield Progress("writing manifest")
    manifest = Manifest(Layer(CONFIG, config_blob.digest, config_blob.size), tuple(layers))
    library.install(name, manifest.encode(), [config, *kept, *(text.data for text in texts)])
    yield Progress("success")


def _config(parts: Parts, request: CreateRequest) -> ConfigBlob:
    config = replace(
        parts.config,
        renderer=request.renderer or parts.config.renderer,
        parser=request.parser or parts.config.parser,
        requires=request.requires or parts.config.requires,
    )
    return describe(config, parts.weights, parts.projectors)


def _text_layers(
    parts: Parts, request: CreateRequest, check_template: CheckTemplate
) -> list[TextLayer]:
    if request.template:
        try:
            check_template(request.template)
        except Exception as error:
            raise CreateError(f"template error: {error}", reason="INVALID_TEMPLATE") from error
    try:
        return text_layers(
            template=request.template,
            system=request.system,
            licenses=request.licenses,
            parameters={**parts.parameters, **request.parameters},
            messages=request.messages,
        )
    except ValueError as error:
        raise CreateError(str(error)) from error


def _kept_layers(parts: Parts, texts: list[TextLayer]) -> list[Layer]:
    """The layers so far, without those that the request puts new ones in place of."""
    replaced = {text.media_type for text in texts if text.is_single}
    return [layer for layer in parts.layers if layer.media_type not in replaced]


def _layer_line(blob: Blob, named: NamedTemplate | None = None) -> Progress:
    if named is not None:
        return Progress(f"using autodetected template {named.name}")
    state = "creating new" if blob.is_new else "using existing"
    return Progress(f"{state} layer {blob.digest}")
