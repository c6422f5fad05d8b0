"""`options`: a table from JSON names to the fields of `Options`, and Go's words for wrong types.

A wrong type does not refuse the body: upstream notices it only after the model was looked up, and
answers 500. So the first error is kept beside the options that were right.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamawire.v1 import options_pb2

from . import gojson

__all__ = ["ReadOptions", "read_options"]

_INT32 = (-(1 << 31), (1 << 31) - 1)
_INT64 = (-(1 << 63), (1 << 63) - 1)
_INTEGERS = {
    "seed": _INT64, "top_k": _INT32, "repeat_last_n": _INT32, "num_predict": _INT32,
    "num_keep": _INT32, "num_ctx": _INT32, "num_batch": _INT32, "num_gpu": _INT32,
    "main_gpu": _INT32, "num_thread": _INT32,
}  # fmt: skip
_FLOATS = frozenset(
    ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
     "frequency_penalty")
)  # fmt: skip
_BOOLEANS = frozenset(("use_mmap", "reproducible"))
# The API document has these two; newer servers ignore them, and so whatever stands there.
_LENIENT_BOOLEANS = frozenset(("penalize_newline", "numa"))


@dataclass(frozen=True)
class ReadOptions:
    """The options that could be read, and the text for the first that could not."""

    options: options_pb2.Options
    error: str | None = None


def read_options(raw: bytes) -> ReadOptions:
    """A leaf for `options`. Unknown keys are ignored; keys mind their letter case."""
    options = options_pb2.Options()
    error: str | None = None
    for key, value in gojson.obj(raw):
        if value != b"null":
            error = _set(options, key, value) or error
    return ReadOptions(options, error)


def _set(options: options_pb2.Options, key: str, raw: bytes) -> str | None:
    """Sets one field; returns what is wrong with it."""
    kind = gojson.kind(raw)
    if key in _INTEGERS:
        if kind != "number":
            return _wrong(key, "integer")
        low, high = _INTEGERS[key]
        setattr(options, key, max(low, min(int(gojson.number(raw)), high)))
    elif key in _FLOATS:
        if kind != "number":
            return _wrong(key, "float32")
        setattr(options, key, gojson.number(raw))
    elif key in _BOOLEANS:
        if kind != "bool":
            return _wrong(key, "boolean")
        setattr(options, key, gojson.boolean(raw))
    elif key in _LENIENT_BOOLEANS and kind == "bool":
        setattr(options, key, gojson.boolean(raw))
    elif key == "stop":
        return _set_stop(options, raw)
    return None


def _set_stop(options: options_pb2.Options, raw: bytes) -> str | None:
    if gojson.kind(raw) != "array":
        return _wrong("stop", "array")
    found = gojson.elements(raw)
    if any(gojson.kind(element) != "string" for element in found):
        return 'option "stop" must be of an array of strings'
    options.stop.CopyFrom(
        options_pb2.StopSequences(values=[gojson.string(element) for element in found])
    )
    return None


def _wrong(key: str, expected: str) -> str:
    return f'option "{key}" must be of type {expected}'
