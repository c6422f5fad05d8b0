"""How answers look: what every form of them has to say, and what they share.

A form is made for one answer. The exchange tells it what the engine has said; it says what goes to
the client.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
from aiohttp import web

from llamawire.v1 import chat_pb2, generation_pb2, generation_service_pb2

from .gofloat import number32_text

__all__ = ["End", "Form", "ReplyT", "debug_info", "logprob_entries"]

ReplyT = TypeVar("ReplyT", generation_pb2.GenerateResponse, chat_pb2.ChatResponse)
ReplyT_contra = TypeVar(
    "ReplyT_contra", generation_pb2.GenerateResponse, chat_pb2.ChatResponse, contravariant=True
)

_DONE_REASONS: Mapping[int, str] = {
    generation_pb2.FINISH_REASON_STOP: "stop",
    generation_pb2.FINISH_REASON_LENGTH: "length",
    generation_pb2.FINISH_REASON_CONTEXT: "length",
    generation_pb2.FINISH_REASON_DEADLINE: "deadline",
}
# JSON has no infinity, and readers of log-probabilities expect numbers.
_FLOAT32_LOWEST = -3.4028234663852886e38


@dataclass(frozen=True)
class End:
    """How an answer ended."""

    finished: generation_pb2.Finished
    messages_dropped_count: int

    @property
    def done_reason(self) -> str:
        return _DONE_REASONS.get(self.finished.reason, "stop")

    def counts(self) -> dict[str, object]:
        """Times and counts; what is zero is left out, as upstream does."""
        finished = self.finished
        counts: dict[str, object] = {
            "total_duration": finished.total_ns,
            "load_duration": finished.load_ns,
            "prompt_eval_count": finished.prompt_count,
            "prompt_eval_duration": finished.prompt_ns,
            "eval_count": finished.generated_count,
            "eval_duration": finished.generate_ns,
        }
        return {key: value for key, value in counts.items() if value}

    def dropped(self) -> dict[str, object]:
        """What was cut off the prompt. These keys are ours: it is never done in silence."""
        dropped: dict[str, object] = {}
        if self.finished.prompt_dropped_count or self.messages_dropped_count:
            dropped["prompt_dropped_count"] = self.finished.prompt_dropped_count
        if self.messages_dropped_count:
            dropped["messages_dropped_count"] = self.messages_dropped_count
        return dropped


class Form(Protocol[ReplyT_contra]):
    """The form of one answer."""

    @property
    def content_type(self) -> str:
        """Of a stream."""

    def loaded(self, reason: str) -> web.Response:
        """Answers a request without a prompt; `reason` is `load` or `unload`."""

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        """Answers a request to see the prompt."""

    def lines(self, reply: ReplyT_contra) -> list[bytes]:
        """What a stream shows of a reply with pieces."""

    def last(self, end: End) -> list[bytes]:
        """The end of a stream; at least one line."""

    def error_line(self, text: str) -> bytes:
        """The end of a stream that failed on its way."""

    def whole(self, replies: Sequence[ReplyT_contra], end: End) -> web.Response:
        """The answer in one object, of all replies with pieces."""


def debug_info(rendered: generation_service_pb2.RenderResponse) -> dict[str, object]:
    """What is zero is left out. The count of dropped messages is ours."""
    info: dict[str, object] = {"rendered_template": rendered.prompt}
    if rendered.image_count:
        info["image_count"] = rendered.image_count
    if rendered.messages_dropped_count:
        info["messages_dropped_count"] = rendered.messages_dropped_count
    return info


def logprob_entries(tokens: Iterable[generation_pb2.TokenLogprob]) -> list[dict[str, object]]:
    """The entries of `logprobs`."""
    entries = []
    for token in tokens:
        entry = _entry(token)
        if token.top:
            entry["top_logprobs"] = [_entry(alternative) for alternative in token.top]
        entries.append(entry)
    return entries


def _entry(token: generation_pb2.TokenLogprob | generation_pb2.TopLogprob) -> dict[str, object]:
    logprob = token.logprob if math.isfinite(token.logprob) else _FLOAT32_LOWEST
    return {
        "token": token.token.decode("utf-8", "replace"),
        "logprob": msgspec.Raw(number32_text(logprob)),
        "bytes": list(token.token),
    }
