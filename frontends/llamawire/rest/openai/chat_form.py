"""The answers of /v1/chat/completions. Keys stand in the order that clients see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiohttp import web

from llamawire.v1 import chat_pb2, generation_service_pb2

from ..dialect import EVENTS, object_response
from ..forms import End, debug_info, logprob_entries
from ..gojson import encode
from ..structs import struct_json
from .envelope import DONE, FINGERPRINT, ZERO_USAGE, event, new_id, usage
from .errors import error_object

__all__ = ["ChatCompletionForm"]


class ChatCompletionForm:
    """One answer; of a chunk all but the choice is ready beforehand."""

    content_type = EVENTS

    def __init__(self, model: str, created: int, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._opening = {"id": new_id("chatcmpl"), "created": created, "model": model}
        self._head = b"data: " + encode(self._chunk([])).removesuffix(b"]}")
        self._has_role = False
        self._has_calls = False

    def loaded(self, reason: str) -> web.Response:
        return object_response(self._object(_message("", "", []), reason, ZERO_USAGE))

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        answer = self._object({"role": "", "content": ""}, None, ZERO_USAGE)
        return object_response({**answer, "_debug_info": debug_info(rendered)})

    # ---- a stream --------------------------------------------------------------------------------

    def lines(self, reply: chat_pb2.ChatResponse) -> list[bytes]:
        return [line for piece in reply.pieces.pieces for line in self._piece(piece)]

    def _piece(self, piece: chat_pb2.ChatPiece) -> list[bytes]:
        """Thinking comes in a chunk of its own."""
        calls = _calls(piece.tool_calls) if len(piece.tool_calls) else []
        self._has_calls |= bool(calls)
        deltas: list[dict[str, object]] = []
        if piece.thinking:
            deltas.append({"content": "", "reasoning": piece.thinking})
        if piece.content or calls:
            delta: dict[str, object] = {"content": piece.content}
            deltas.append({**delta, "tool_calls": calls} if calls else delta)
        entries = logprob_entries(piece.logprobs) if len(piece.logprobs) else []
        if entries and not deltas:
            deltas.append({"content": ""})
        choices = [self._choice(delta, None) for delta in deltas]
        if entries:
            choices[-1]["logprobs"] = {"content": entries}
        return [self._head + encode(choice) + b"]}\n\n" for choice in choices]

    def last(self, end: End) -> list[bytes]:
        delta: dict[str, object] = {}
        if not self._has_role:
            # An answer without a word still says whose it is.
            delta = {"content": ""}
        finish = self._choice(delta, _finish_reason(end, self._has_calls))
        chunks = [self._chunk([finish]) | end.dropped()]
        if self._include_usage:
            chunks.append({**self._chunk([]), "usage": usage(end.finished)})
        return [*map(event, chunks), DONE]

    def error_line(self, text: str) -> bytes:
        return event(error_object(500, text))

    def _choice(self, delta: dict[str, object], finish_reason: str | None) -> dict[str, object]:
        if not self._has_role and delta:
            self._has_role = True
            delta = {"role": "assistant", **delta}
        return {"index": 0, "delta": delta, "finish_reason": finish_reason}

    def _chunk(self, choices: list[dict[str, object]]) -> dict[str, object]:
        opening = self._opening
        return {
            "id": opening["id"],
            "object": "chat.completion.chunk",
            "created": opening["created"],
            "model": opening["model"],
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }

    # ---- an object -------------------------------------------------------------------------------

    def whole(self, replies: Sequence[chat_pb2.ChatResponse], end: End) -> web.Response:
        pieces = [piece for reply in replies for piece in reply.pieces.pieces]
        calls = [call for piece in pieces for call in _calls(piece.tool_calls)]
        message = _message(
            "".join(piece.content for piece in pieces),
            "".join(piece.thinking for piece in pieces),
            calls,
        )
        entries = [entry for piece in pieces for entry in logprob_entries(piece.logprobs)]
        reason = _finish_reason(end, bool(calls))
        answer = self._object(message, reason, usage(end.finished), entries)
        return object_response(answer | end.dropped())

    def _object(
        self,
        message: dict[str, object],
        finish_reason: str | None,
        counts: dict[str, int],
        entries: Sequence[dict[str, object]] = (),
    ) -> dict[str, object]:
        choice: dict[str, object] = {
            "index": 0,
            "message": message,
            "finish_reason": finish_reason,
        }
        if entries:
            choice["logprobs"] = {"content": entries}
        answer = {**self._chunk([choice]), "object": "chat.completion"}
        return {**answer, "usage": counts}


def _message(content: str, thinking: str, calls: Sequence[dict[str, object]]) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": content}
    if thinking:
        message["reasoning"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message


def _finish_reason(end: End, has_calls: bool) -> str:
    return "tool_calls" if has_calls and end.done_reason == "stop" else end.done_reason


def _calls(calls: Iterable[chat_pb2.ToolCall]) -> list[dict[str, object]]:
    return [
        {
            "id": call.id,
            "index": call.index,
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": encode(struct_json(call.arguments)).decode(),
            },
        }
        for call in calls
    ]
