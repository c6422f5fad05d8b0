"""GGUF files: what their headers say, and whether llama.cpp may see them."""

from llamawire.engine.store.gguf.adapter import check_adapter_suits
from llamawire.engine.store.gguf.cache import GgufCache
from llamawire.engine.store.gguf.header import (
    Gguf,
    GgufArray,
    GgufValue,
    KeyPlace,
    TensorInfo,
    human_count,
)
from llamawire.engine.store.gguf.reader import is_gguf, read_gguf
from llamawire.engine.store.gguf.tables import FILE_TYPES
from llamawire.engine.store.gguf.validator import validate_gguf

__all__ = [
    "FILE_TYPES",
    "Gguf",
    "GgufArray",
    "GgufCache",
    "GgufValue",
    "KeyPlace",
    "TensorInfo",
    "check_adapter_suits",
    "human_count",
    "is_gguf",
    "read_gguf",
    "validate_gguf",
]
