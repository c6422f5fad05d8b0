"""Fields that several of OpenAI's routes share, as their Go structs read them."""

from __future__ import annotations

from llamawire.v1 import generation_pb2, options_pb2

from .. import gojson
from ..dialect import go_type
from ..gotext import quote

__all__ = ["include_usage", "stop_sequences", "think_of"]

# What OpenAI's clients may ask for, in the words that models know.
_EFFORTS = {
    "minimal": "low", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "max", "ultra": "max", "max": "max",
}  # fmt: skip


def include_usage(raw: bytes) -> bool:
    """A leaf for `stream_options`."""
    leaves = {"include_usage": gojson.boolean}
    given = gojson.nested(raw, "openai.StreamOptions", leaves, "StreamOptions")
    return bool(given.get("include_usage"))


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


def think_of(effort: str) -> generation_pb2.Think | None:
    """What an effort of reasoning asks of the model; empty: nothing."""
    if not effort:
        return None
    if effort == "none":
        return generation_pb2.Think(enabled=False)
    if effort not in _EFFORTS:
        raise gojson.DecodeError(
            f'invalid reasoning value: {quote(effort)} (must be "minimal", "low", "medium", '
            '"high", "xhigh", "ultra", "max", or "none")'
        )
    return generation_pb2.Think(enabled=True, level=_EFFORTS[effort])
