"""The layers of a model that are text, from what a request says to bytes; and its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llamawire.engine.store import gojson
from llamawire.engine.store.errors import CorruptManifest
from llamawire.engine.store.gguf import Gguf, human_count
from llamawire.engine.store.manifest import (
    LICENSE,
    MESSAGES,
    PARAMS,
    SYSTEM,
    TEMPLATE,
    ConfigBlob,
    parse_json,
)
from llamawire.engine.store.message import Message, encode_messages

__all__ = ["TextLayer", "decode_parameters", "describe", "text_layers"]


@dataclass(frozen=True)
class TextLayer:
    """A layer whose bytes are in memory. `is_single` if it takes the place of an older one."""

    media_type: str
    data: bytes

    @property
    def is_single(self) -> bool:
        return self.media_type != LICENSE


def text_layers(
    *,
    template: str = "",
    system: str = "",
    licenses: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    messages: Sequence[Message] = (),
) -> list[TextLayer]:
    """What is not empty, in the order in which manifests have it.

    Raises ValueError for parameters that JSON cannot say.
    """
    layers = [
        TextLayer(TEMPLATE, _encode(template)),
        TextLayer(SYSTEM, _encode(system)),
        *(TextLayer(LICENSE, _encode(text)) for text in licenses),
        TextLayer(PARAMS, gojson.encode(parameters, sort_keys=True) if parameters else b""),
        TextLayer(MESSAGES, encode_messages(messages) if messages else b""),
    ]
    return [layer for layer in layers if layer.data]


def decode_parameters(data: bytes) -> dict[str, object]:
    """The parameters of a layer. Raises CorruptManifest."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise CorruptManifest("the parameters are not a JSON object")
    return value


def describe(config: ConfigBlob, weights: Gguf | None, projectors: Sequence[Gguf]) -> ConfigBlob:
    """The config with what the files say; without weights it stays as it is."""
    if weights is None:
        return config
    architectures = [weights.architecture, *(item.architecture for item in projectors)]
    return replace(
        config,
        model_format=config.model_format or "gguf",
        model_family=weights.architecture,
        model_families=tuple(dict.fromkeys(architectures)),
        model_type=human_count(weights.parameter_count),
        file_type=weights.file_type,
    )


def _encode(text: str) -> bytes:
    # A lone surrogate has no bytes; everybody writes U+FFFD in its place.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
