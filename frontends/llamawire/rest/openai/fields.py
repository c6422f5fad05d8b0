"""Fields that chat and text completions share, as their Go structs read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamawire.v1 import options_pb2

from .. import gojson

__all__ = ["go_type", "include_usage", "max_tokens", "read_body", "stop_sequences"]

_INT32_MAX = (1 << 31) - 1
_GO_TYPES = {
    "null": "<nil>", "number": "float64", "object": "map[string]interface {}",
    "array": "[]interface {}",
}  # fmt: skip


def read_body(body: bytes, struct: str, leaves: Mapping[str, gojson.Leaf]) -> dict[str, Any]:
    if not body.strip():
        raise gojson.DecodeError("EOF")
    return gojson.decode(body, struct, leaves, "openai")


def go_type(raw: bytes) -> str:
    """What Go makes of a value of any type."""
    kind = gojson.kind(raw)
    return _GO_TYPES.get(kind, kind)


def include_usage(raw: bytes) -> bool:
    """A leaf for `stream_options`."""
    leaves = {"include_usage": gojson.boolean}
    given = gojson.nested(raw, "openai.StreamOptions", leaves, "StreamOptions")
    return bool(given.get("include_usage"))


def max_tokens(raw: bytes) -> int:
    return max(-_INT32_MAX, min(gojson.integer(raw), _INT32_MAX))


def stop_sequences(raw: bytes, *, may_drop: bool) -> options_pb2.StopSequences | None:
    """`stop` is one text or a list of them. What else stands in the list is dropped or refused."""
    kind = gojson.kind(raw)
    if kind == "string":
        return options_pb2.StopSequences(values=[gojson.string(raw)])
    if kind != "array":
        return None
    found = gojson.elements(raw)
    texts = [gojson.string(one) for one in found if gojson.kind(one) == "string"]
    if len(texts) < len(found) and not may_drop:
        wrong = next(one for one in found if gojson.kind(one) != "string")
        raise gojson.DecodeError(f"invalid type for 'stop' field: {go_type(wrong)}")
    return options_pb2.StopSequences(values=texts)
