"""What the dialects of /v1 have in common.

OpenAI's and Anthropic's are other dresses of the same questions and answers: a body in their words
becomes one of /api/chat or /api/generate, and what the engine says goes back in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import hdrs, web

from . import gojson
from .errors import RestError
from .gojson import DecodeError, encode
from .ndjson import JSON, JSON_UTF8

__all__ = [
    "EVENTS",
    "MESSAGES_PATH",
    "RESPONSES_PATH",
    "UNCACHED",
    "error_response",
    "event_stream",
    "format_of",
    "go_type",
    "int32",
    "object_response",
    "read_members",
]

EVENTS = "text/event-stream"
MESSAGES_PATH = "/v1/messages"
"""Where Anthropic's clients call, with headers and errors of their own."""
RESPONSES_PATH = "/v1/responses"
UNCACHED: Mapping[str, str] = {hdrs.CACHE_CONTROL: "no-cache", hdrs.CONNECTION: "keep-alive"}
"""What answers at these two paths say besides: nothing on the way shall keep them."""

_INT32_MAX = (1 << 31) - 1
_GO_TYPES = {
    "null": "<nil>", "number": "float64", "object": "map[string]interface {}",
    "array": "[]interface {}",
}  # fmt: skip


# ---- bodies --------------------------------------------------------------------------------------


def read_members(
    body: bytes, package: str, struct: str, leaves: Mapping[str, gojson.Leaf]
) -> dict[str, Any]:
    """The members of a body that Go reads into `package.struct`."""
    if not body.strip():
        raise DecodeError("EOF")
    return gojson.decode(body, struct, leaves, package)


def go_type(raw: bytes) -> str:
    """What Go makes of a value of any type."""
    kind = gojson.kind(raw)
    return _GO_TYPES.get(kind, kind)


def int32(raw: bytes) -> int:
    """A leaf for an integer, as near to it as an int32 comes."""
    return max(-_INT32_MAX, min(gojson.integer(raw), _INT32_MAX))


def format_of(go_type: str) -> Callable[[bytes], bytes]:
    """A leaf for `{"type", "schema"}`, which Go reads into a type of this name: Ollama's `format`,
    or empty for none."""
    leaves = {"type": gojson.string, "schema": gojson.raw_text}

    def leaf(raw: bytes) -> bytes:
        given: dict[str, Any] = gojson.nested(raw, go_type, leaves, go_type.partition(".")[2])
        if given.get("type") == "json_object":
            return b'"json"'
        schema: bytes = given.get("schema", b"")
        return schema if given.get("type") == "json_schema" else b""

    return leaf


# ---- answers -------------------------------------------------------------------------------------


def object_response(value: object) -> web.Response:
    """An answer that is no stream."""
    return web.Response(body=encode(value) + b"\n", headers={"Content-Type": JSON})


def event_stream(events: list[bytes]) -> web.Response:
    """A stream all of whose events are there."""
    return web.Response(body=b"".join(events), headers={"Content-Type": EVENTS})


def error_response(
    error: RestError | DecodeError, shape: Callable[[int, str], dict[str, object]]
) -> web.Response:
    """What the translation finds wrong is told a little differently from what the model's handler
    does: by the type of the content and the newline. `shape` makes the object of status and text.
    """
    if isinstance(error, DecodeError):
        body = encode(shape(400, str(error)))
        return web.Response(body=body, status=400, headers={"Content-Type": JSON_UTF8})
    body = encode(shape(error.status, error.text)) + b"\n"
    headers = {"Content-Type": JSON, **error.headers}
    return web.Response(body=body, status=error.status, headers=headers)
