"""The values of PARAMETER lines: which names there are and what each takes."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from llamawire.modelfile.errors import ModelfileError

__all__ = ["ParameterValue", "Parameters", "read_parameters"]

ParameterValue = int | float | bool | list[str]

_INTEGERS = (
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "repeat_last_n",
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "draft_num_predict",
)
_FLOATS = (
    "top_p",
    "min_p",
    "typical_p",
    "temperature",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
# `think` is ours: whether a model that can think does so when a request does not say.
_FLAGS = ("use_mmap", "think")
_LISTS = ("stop",)
_DEPRECATED = (
    "penalize_newline",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mlock",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
)

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True)
class Parameters:
    """The values by name, and the names that were ignored because they mean nothing any more."""

    values: dict[str, ParameterValue] = field(default_factory=dict)
    deprecated: tuple[str, ...] = ()


def read_parameters(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Gives each value its type. `stop` gathers a list; of the others the last one counts.

    Raises ModelfileError for a name that there is not and a value of another type.
    """
    values: dict[str, ParameterValue] = {}
    stops: list[str] = []
    deprecated: list[str] = []
    for name, text in pairs:
        if name in _DEPRECATED:
            deprecated.append(name)
        elif name in _LISTS:
            stops.append(text)
            values[name] = stops
        else:
            values[name] = _scalar(name, text)
    return Parameters(values, tuple(dict.fromkeys(deprecated)))


def _scalar(name: str, text: str) -> int | float | bool:
    if name in _INTEGERS:
        return _integer(text)
    if name in _FLOATS:
        return _float(text)
    if name in _FLAGS:
        return _flag(text)
    raise ModelfileError(f"unknown parameter '{name}'")


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
        raise ModelfileError(f"invalid int value [{text}]")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else math.inf
    try:
        struct.pack("<f", value)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ModelfileError(f"invalid float value [{text}]")
    return value


def _flag(text: str) -> bool:
    if text not in _TRUE and text not in _FALSE:
        raise ModelfileError(f"invalid bool value [{text}]")
    return text in _TRUE
