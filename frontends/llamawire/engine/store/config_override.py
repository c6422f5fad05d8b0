"""The field `info` of a create request: corrections to what the files say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llamawire.engine.store.errors import CreateError
from llamawire.engine.store.manifest import ConfigBlob

__all__ = ["override"]


def override(config: ConfigBlob, info: Mapping[str, object]) -> ConfigBlob:
    """The config with the corrections; unknown fields are ignored.

    Raises CreateError for a field of another type.
    """
    family = _text(info, "model_family")
    return replace(
        config,
        model_family=family or config.model_family,
        model_families=_distinct((family, *config.model_families)),
        model_type=_text(info, "parameter_size") or config.model_type,
        file_type=_text(info, "quantization_level") or config.file_type,
        base_name=_text(info, "base_name") or config.base_name,
        context_length=_count(info, "context_length") or config.context_length,
        embedding_length=_count(info, "embedding_length") or config.embedding_length,
        capabilities=_distinct((*config.capabilities, *_texts(info, "capabilities"))),
    )


def _text(info: Mapping[str, object], key: str) -> str:
    value = info.get(key, "")
    if not isinstance(value, str):
        raise CreateError(f'info field "{key}" must be a string')
    return value


def _texts(info: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = info.get(key, [])
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise CreateError(f'info field "{key}" must be a list of strings')
    return tuple(value)


def _count(info: Mapping[str, object], key: str) -> int:
    value = info.get(key, 0)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise CreateError(f'info field "{key}" must be a number')
    if value < 0 or value != value // 1:
        raise CreateError(f'info field "{key}" must be a non-negative integer')
    return int(value)


def _distinct(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in items if item))
