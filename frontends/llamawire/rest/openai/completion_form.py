"""The answers of /v1/completions. Keys stand in the order that clients see."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from llamawire.v1 import generation_pb2, generation_service_pb2

from ..dialect import EVENTS, event_stream, object_response
from ..forms import End, debug_info
from ..gojson import encode
from .envelope import DONE, FINGERPRINT, ZERO_USAGE, event, new_id, usage
from .errors import error_object

__all__ = ["CompletionForm"]


class CompletionForm:
    """One answer. What the model thinks is not part of it."""

    content_type = EVENTS

    def __init__(self, model: str, created: int, *, stream: bool, include_usage: bool) -> None:
        self._stream = stream
        self._include_usage = include_usage
        self._id = new_id("cmpl")
        self._created = created
        self._model = model
        # Of a chunk all but the choice is ready beforehand.
        self._head, _, tail = event(self._chunk([])).partition(b"]")
        self._tail = b"]" + tail

    def loaded(self, reason: str) -> web.Response:
        if not self._stream:
            return object_response(self._object("", reason, ZERO_USAGE))
        events = [event(self._chunk([_choice("", reason)])), *self._ending(ZERO_USAGE)]
        return event_stream(events)

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        answer = self._object("", None, ZERO_USAGE)
        return object_response({**answer, "_debug_info": debug_info(rendered)})

    def lines(self, reply: generation_pb2.GenerateResponse) -> list[bytes]:
        texts = [piece.text for piece in reply.pieces.pieces if piece.text]
        return [self._head + encode(_choice(text, None)) + self._tail for text in texts]

    def last(self, end: End) -> list[bytes]:
        chunk = self._chunk([_choice("", end.done_reason)]) | end.dropped()
        return [event(chunk), *self._ending(usage(end.finished))]

    def _ending(self, counts: dict[str, int]) -> list[bytes]:
        if not self._include_usage:
            return [DONE]
        return [event({**self._chunk([]), "usage": counts}), DONE]

    def error_line(self, text: str) -> bytes:
        return event(error_object(500, text))

    def whole(self, replies: Sequence[generation_pb2.GenerateResponse], end: End) -> web.Response:
        text = "".join(piece.text for reply in replies for piece in reply.pieces.pieces)
        answer = self._object(text, end.done_reason, usage(end.finished))
        return object_response(answer | end.dropped())

    def _chunk(self, choices: list[dict[str, object]]) -> dict[str, object]:
        chunk: dict[str, object] = {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "choices": choices,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
        }
        # Once they were asked for, every chunk has counts, though only the last ones mean anything.
        return {**chunk, "usage": ZERO_USAGE} if self._include_usage else chunk

    def _object(
        self, text: str, finish_reason: str | None, counts: dict[str, int]
    ) -> dict[str, object]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": [_choice(text, finish_reason)],
            "usage": counts,
        }


def _choice(text: str, finish_reason: str | None) -> dict[str, object]:
    return {"text": text, "index": 0, "finish_reason": finish_reason}
