"""What all requests for text have in common: fields of their bodies, and messages made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from google.protobuf import duration_pb2

from llamawire.v1 import generation_pb2, model_service_pb2, options_pb2

from . import gojson
from .durations import read_keep_alive, read_timeout
from .gotext import quote
from .images import read_image
from .options import ReadOptions, read_options

__all__ = [
    "COMMON",
    "Body",
    "common_fields",
    "duration_message",
    "format_message",
    "load_request",
    "logprobs_message",
    "read_images",
    "read_thinking_budget",
    "with_budget",
]

_SECOND = 10**9
_BUDGET_MAX = (1 << 31) - 1
_THINK_LEVELS = ("high", "medium", "low", "max")


@dataclass(frozen=True, kw_only=True)
class Body(ABC):
    """A request for text. None: not given."""

    # The last part of the path, which decides about the words of some errors.
    route: ClassVar[str]

    model: str
    stream: bool = True
    options: ReadOptions = field(default_factory=lambda: ReadOptions(options_pb2.Options()))
    # As written, or empty for none.
    format: bytes = b""
    think: generation_pb2.Think | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    keep_alive_ns: int | None = None
    timeout_ns: int | None = None
    priority: int = 0
    user: str = ""
    debug_render_only: bool = False

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """There is nothing to answer; the model is loaded or unloaded."""

    @property
    @abstractmethod
    def conflict(self) -> str | None:
        """What contradicts itself, if anything."""

    @property
    @abstractmethod
    def wanted_capabilities(self) -> list[str]:
        """What the model must be able to do, in the order in which a lack of it is told."""

    @property
    def is_unload(self) -> bool:
        return self.is_empty and self.keep_alive_ns == 0

    @property
    def wants_thinking(self) -> bool:
        return self.think is not None and self.think.enabled

    @property
    def format_error(self) -> str | None:
        """What is wrong with the form of `format`, if anything."""
        if not self.format or self.format == b'"json"' or self.format[:1] == b"{":
            return None
        written = quote(self.format.decode("utf-8", "replace"))
        return f'invalid format: {written}; expected "json" or a valid JSON Schema object'


def _read_think(raw: bytes) -> generation_pb2.Think:
    if gojson.kind(raw) == "bool":
        return generation_pb2.Think(enabled=gojson.boolean(raw))
    if gojson.kind(raw) != "string":
        text = 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'
        raise gojson.DecodeError(text)
    level = gojson.string(raw)
    if level not in _THINK_LEVELS:
        raise gojson.DecodeError(
            f"invalid think value: {quote(level)} "
            '(must be "high", "medium", "low", "max", true, or false)'
        )
    return generation_pb2.Think(enabled=True, level=level)


def read_thinking_budget(raw: bytes) -> int:
    budget = gojson.integer(raw)
    if not 0 <= budget <= _BUDGET_MAX:
        raise gojson.DecodeError(f"thinking_token_budget must be 0 to {_BUDGET_MAX}")
    return budget


def with_budget(
    think: generation_pb2.Think | None, budget: int | None
) -> generation_pb2.Think | None:
    """`think` with a limit of tokens; a limit alone asks to think."""
    if budget is None:
        return think
    asked = think or generation_pb2.Think(enabled=True)
    if not asked.enabled:
        raise gojson.DecodeError("thinking_token_budget limits thinking, and there is none")
    return generation_pb2.Think(enabled=asked.enabled, level=asked.level, budget_tokens=budget)


def _read_priority(raw: bytes) -> int:
    """As near as an int32 comes; the engine knows the limits."""
    return min(max(gojson.integer(raw), -(2**31)), 2**31 - 1)


COMMON: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "stream": gojson.boolean,
    "format": gojson.raw_text,
    "keep_alive": read_keep_alive,
    "options": read_options,
    "think": _read_think,
    "thinking_token_budget": read_thinking_budget,
    "truncate": gojson.boolean,
    "shift": gojson.boolean,
    "logprobs": gojson.boolean,
    "top_logprobs": gojson.integer,
    "_debug_render_only": gojson.boolean,
    "timeout": read_timeout,
    "priority": _read_priority,
    "user": gojson.string,
}
# Where a body's field has another name in JSON.
_NAMES = {
    "keep_alive": "keep_alive_ns",
    "timeout": "timeout_ns",
    "_debug_render_only": "debug_render_only",
}


def common_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Body`, as far as they were given."""
    fields = {_NAMES.get(key, key): given[key] for key in COMMON if key in given}
    if fields.get("format") == b'""':
        del fields["format"]
    fields["think"] = with_budget(fields.get("think"), fields.pop("thinking_token_budget", None))
    return {"model": "", **fields}


def read_images(raw: bytes) -> list[bytes]:
    found = gojson.array(raw, "[]api.ImageData")
    return [b"" if item == b"null" else read_image(item) for item in found]


def format_message(written: bytes) -> generation_pb2.Format | None:
    if not written:
        return None
    if written == b'"json"':
        return generation_pb2.Format(json=generation_pb2.JsonObject())
    return generation_pb2.Format(json_schema=written.decode("utf-8", "replace"))


def logprobs_message(body: Body) -> generation_pb2.Logprobs | None:
    return generation_pb2.Logprobs(top=body.top_logprobs) if body.logprobs else None


def duration_message(ns: int | None) -> duration_pb2.Duration | None:
    if ns is None:
        return None
    seconds, nanos = divmod(abs(ns), _SECOND)
    sign = -1 if ns < 0 else 1
    return duration_pb2.Duration(seconds=sign * seconds, nanos=sign * nanos)


def load_request(body: Body, name: str) -> model_service_pb2.LoadRequest:
    """`name` is the model's name as the engine knows it, without spaces and source suffix."""
    return model_service_pb2.LoadRequest(
        model=name, options=body.options.options, keep_alive=duration_message(body.keep_alive_ns)
    )
