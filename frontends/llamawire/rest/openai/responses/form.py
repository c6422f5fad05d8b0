"""The answers of /v1/responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from llamawire.v1 import chat_pb2, generation_pb2, generation_service_pb2

from ...dialect import EVENTS, event_stream, object_response
from ...forms import End, debug_info
from ...gofloat import number_text
from ...gojson import encode_sorted
from .output import Event, OutputItems, new_number
from .request import ResponseBody

__all__ = ["ResponseForm"]


class ResponseForm:
    """One answer. `now_s` is the clock, in whole seconds."""

    content_type = EVENTS

    def __init__(self, body: ResponseBody, now_s: Callable[[], int]) -> None:
        self._body = body
        self._now_s = now_s
        self._created_at = now_s()
        self._id = f"resp_{new_number()}"
        self._output = OutputItems(self._id)
        self._sequence_number = 0

    def loaded(self, reason: str) -> web.Response:
        events = self._output.finish()
        answer = self._completed(generation_pb2.Finished(), {})
        if not self._body.chat.stream:
            return object_response(answer)
        ending: Event = ("response.completed", {"response": answer})
        return event_stream(self._frames([*events, ending]))

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        answer = self._completed(generation_pb2.Finished(), {})
        return object_response({**answer, "_debug_info": debug_info(rendered)})

    # ---- a stream --------------------------------------------------------------------------------

    def lines(self, reply: chat_pb2.ChatResponse) -> list[bytes]:
        events = [event for piece in reply.pieces.pieces for event in self._output.feed(piece)]
        return self._frames(events) if events else []

    def last(self, end: End) -> list[bytes]:
        events = self._output.finish()
        answer = self._completed(end.finished, end.dropped())
        return self._frames([*events, ("response.completed", {"response": answer})])

    def error_line(self, text: str) -> bytes:
        error = {"code": "server_error", "message": text}
        answer = self._response("failed", self._output.items, error=error)
        return b"".join(self._frames([("response.failed", {"response": answer})]))

    def _frames(self, events: Sequence[Event]) -> list[bytes]:
        """With what a stream begins with, if it is its beginning."""
        if not self._sequence_number:
            begun: dict[str, object] = {"response": self._response("in_progress", [])}
            events = [("response.created", begun), ("response.in_progress", begun), *events]
        return [self._frame(type_, fields) for type_, fields in events]

    def _frame(self, type_: str, fields: dict[str, object]) -> bytes:
        data = {**fields, "type": type_, "sequence_number": self._sequence_number}
        self._sequence_number += 1
        return b"event: %b\ndata: %b\n\n" % (type_.encode(), encode_sorted(data))

    # ---- an object -------------------------------------------------------------------------------

    def whole(self, replies: Sequence[chat_pb2.ChatResponse], end: End) -> web.Response:
        for reply in replies:
            for piece in reply.pieces.pieces:
                self._output.feed(piece)
        self._output.finish()
        return object_response(self._completed(end.finished, end.dropped()))

    def _completed(
        self, finished: generation_pb2.Finished, dropped: dict[str, object]
    ) -> dict[str, object]:
        """Also an answer that was cut is `completed`, as upstream has it, but it says so."""
        answer = self._response("completed", self._output.items)
        reason = End(finished, 0).done_reason
        if reason == "length":
            answer["incomplete_details"] = {"reason": "max_output_tokens"}
        usage = _usage(finished)
        return {**answer, "completed_at": self._now_s(), "usage": usage} | dropped

    def _response(
        self, status: str, output: Sequence[object], error: dict[str, str] | None = None
    ) -> dict[str, object]:
        """Keys stand in the order that clients see in an answer that is no stream."""
        body = self._body
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_at,
            "completed_at": None,
            "status": status,
            "incomplete_details": None,
            "model": body.chat.model,
            "previous_response_id": None,
            "instructions": body.instructions,
            "output": list(output),
            "error": error,
            "tools": body.tools,
            "tool_choice": "auto",
            "truncation": body.truncation,
            "parallel_tool_calls": True,
            "text": body.text,
            "top_p": msgspec.Raw(number_text(body.top_p)),
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_logprobs": 0,
            "temperature": msgspec.Raw(number_text(body.temperature)),
            "reasoning": body.reasoning,
            "usage": None,
            "max_output_tokens": body.max_output_tokens,
            "max_tool_calls": None,
            "store": False,
            "background": body.background,
            "service_tier": "default",
            "metadata": {},
            "safety_identifier": None,
            "prompt_cache_key": None,
        }


def _usage(finished: generation_pb2.Finished) -> dict[str, object]:
    prompt, completion = finished.prompt_count, finished.generated_count
    return {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
        "input_tokens_details": {"cached_tokens": finished.prompt_cached_count},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
