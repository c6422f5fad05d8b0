"""The body of /api/generate, and the message that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from llamawire.v1 import generation_pb2

from . import gojson
from .bodies import (
    COMMON,
    Body,
    common_fields,
    duration_message,
    format_message,
    logprobs_message,
    read_images,
)

__all__ = ["GenerateBody", "generate_request", "read_generate"]

_INT32 = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True, kw_only=True)
class GenerateBody(Body):
    """The body of /api/generate. None: not given."""

    route: ClassVar[str] = "generate"

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    raw: bool = False
    context: list[int] | None = None
    images: list[bytes] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.prompt

    @property
    def conflict(self) -> str | None:
        if self.raw and (self.template or self.system or self.context):
            return "raw mode does not support template, system, or context"
        return None

    @property
    def wanted_capabilities(self) -> list[str]:
        wanted = {"thinking": self.wants_thinking, "completion": True, "insert": bool(self.suffix)}
        return [capability for capability, is_wanted in wanted.items() if is_wanted]


def _read_context(raw: bytes) -> list[int]:
    ids = gojson.integers(raw)
    for token in ids:
        if token not in _INT32:
            raise gojson.DecodeError(f"context holds {token}, which is no token id")
    return ids


_OWN: Mapping[str, gojson.Leaf] = {
    "prompt": gojson.string,
    "suffix": gojson.string,
    "system": gojson.string,
    "template": gojson.string,
    "context": _read_context,
    "raw": gojson.boolean,
    "images": read_images,
}
_GENERATE = {**COMMON, **_OWN}


def read_generate(body: bytes) -> GenerateBody:
    given: dict[str, Any] = gojson.decode(body, "GenerateRequest", _GENERATE)
    own = {key: given[key] for key in _OWN if key in given}
    return GenerateBody(**common_fields(given), **own)


def generate_request(body: GenerateBody, name: str) -> generation_pb2.GenerateRequest:
    """`name` is the model's name as the engine knows it, without spaces and source suffix."""
    return generation_pb2.GenerateRequest(
        model=name,
        prompt=body.prompt,
        suffix=body.suffix,
        images=body.images,
        system=body.system,
        template=body.template,
        raw=body.raw,
        context=None if body.context is None else generation_pb2.TokenIds(ids=body.context),
        format=format_message(body.format),
        options=body.options.options,
        keep_alive=duration_message(body.keep_alive_ns),
        truncate=body.truncate,
        shift=body.shift,
        think=body.think,
        logprobs=logprobs_message(body),
        timeout=duration_message(body.timeout_ns),
        priority=body.priority,
        user=body.user,
        return_context=not body.raw,
    )
