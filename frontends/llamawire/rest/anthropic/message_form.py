"""The answers of /v1/messages. Keys stand in the order that clients see."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from llamawire.v1 import chat_pb2, generation_service_pb2

from ..convert_chat import ChatBody
from ..dialect import EVENTS, event_stream, object_response
from ..forms import End, debug_info
from ..gojson import encode
from .answer_blocks import AnswerBlocks, Event
from .errors import error_object, new_id

__all__ = ["MessageForm"]

_BYTES_PER_TOKEN = 4
"""For the estimate that a stream begins with, before the engine has counted."""
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class MessageForm:
    """One answer."""

    content_type = EVENTS

    def __init__(self, body: ChatBody) -> None:
        self._body = body
        self._id = new_id("msg")
        self._blocks = AnswerBlocks()
        self._has_begun = False

    def loaded(self, reason: str) -> web.Response:
        zero = _usage(0, 0)
        if not self._body.stream:
            return object_response(self._message("end_turn", zero))
        return event_stream([*self._beginning(), *self._ending("end_turn", zero, {})])

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        answer = self._message("end_turn", _usage(0, 0))
        return object_response({**answer, "_debug_info": debug_info(rendered)})

    # ---- a stream --------------------------------------------------------------------------------

    def lines(self, reply: chat_pb2.ChatResponse) -> list[bytes]:
        events = [event for piece in reply.pieces.pieces for event in self._blocks.feed(piece)]
        return [*self._beginning(), *map(_frame, events)] if events else []

    def last(self, end: End) -> list[bytes]:
        usage = _usage(end.finished.prompt_count, end.finished.generated_count)
        return [*self._beginning(), *self._ending(self._stop_reason(end), usage, end.dropped())]

    def error_line(self, text: str) -> bytes:
        return _frame(error_object(500, text))

    def _beginning(self) -> list[bytes]:
        """Comes but once."""
        if self._has_begun:
            return []
        self._has_begun = True
        texts = (message.content for message in self._body.messages)
        tokens = sum(len(text.encode()) for text in texts) // _BYTES_PER_TOKEN
        message = self._message(None, _usage(max(tokens, 1), 0), content=[])
        return [_frame({"type": "message_start", "message": message})]

    def _ending(
        self, stop_reason: str, usage: dict[str, int], dropped: dict[str, object]
    ) -> list[bytes]:
        delta: Event = {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason},
            "usage": usage,
            **dropped,
        }
        events: list[Event] = [*self._blocks.close(), delta, {"type": "message_stop"}]
        return [_frame(event) for event in events]

    # ---- an object -------------------------------------------------------------------------------

    def whole(self, replies: Sequence[chat_pb2.ChatResponse], end: End) -> web.Response:
        for reply in replies:
            for piece in reply.pieces.pieces:
                self._blocks.feed(piece)
        self._blocks.close()
        usage = _usage(end.finished.prompt_count, end.finished.generated_count)
        return object_response(self._message(self._stop_reason(end), usage) | end.dropped())

    def _message(
        self,
        stop_reason: str | None,
        usage: dict[str, int],
        content: Sequence[object] | None = None,
    ) -> dict[str, object]:
        """Of no content: that of all blocks that are whole. Of no reason: none is told yet."""
        message: dict[str, object] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._body.model,
            "content": self._blocks.content if content is None else content,
        }
        if stop_reason:
            message["stop_reason"] = stop_reason
        return {**message, "usage": usage}

    def _stop_reason(self, end: End) -> str:
        has_calls = any(block["type"] == "tool_use" for block in self._blocks.content)
        if has_calls and end.done_reason == "stop":
            return "tool_use"
        return _STOP_REASONS.get(end.done_reason, "end_turn")


def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {"input_tokens": input_tokens, "output_tokens": output_tokens}


def _frame(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), encode(event))
