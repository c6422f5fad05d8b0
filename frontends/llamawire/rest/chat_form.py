"""The answers of /api/chat. Keys stand in the order that clients see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiohttp import web

from llamawire.v1 import chat_pb2, generation_service_pb2

from .forms import End, debug_info, logprob_entries
from .gojson import encode
from .ndjson import NDJSON, json_response
from .structs import struct_json
from .times import UtcStamp

__all__ = ["ChatForm"]


class ChatForm:
    """One answer; of a line all but the text and the time is ready beforehand."""

    content_type = NDJSON

    def __init__(self, model: str, stamp: UtcStamp) -> None:
        self._model = model
        self._stamp = stamp
        self._head = b'{"model":' + encode(model) + b',"created_at":"'

    def loaded(self, reason: str) -> web.Response:
        message = {"role": "assistant", "content": ""}
        return json_response(
            {**self._opening(), "message": message, "done": True, "done_reason": reason}
        )

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        message = {"role": "", "content": ""}
        info = debug_info(rendered)
        return json_response(
            {**self._opening(), "message": message, "done": False, "_debug_info": info}
        )

    def lines(self, reply: chat_pb2.ChatResponse) -> list[bytes]:
        return [
            self._line(one)
            for one in reply.pieces.pieces
            if one.content or one.thinking or len(one.tool_calls) or len(one.logprobs)
        ]

    def _line(self, piece: chat_pb2.ChatPiece) -> bytes:
        parts = [
            self._head,
            self._stamp(),
            b'","message":{"role":"assistant","content":',
            encode(piece.content),
        ]
        if piece.thinking:
            parts += b',"thinking":', encode(piece.thinking)
        if len(piece.tool_calls):
            parts += b',"tool_calls":', encode(_calls(piece.tool_calls))
        parts.append(b'},"done":false')
        if len(piece.logprobs):
            parts += b',"logprobs":', encode(logprob_entries(piece.logprobs))
        parts.append(b"}\n")
        return b"".join(parts)

    def last(self, end: End) -> list[bytes]:
        message = {"role": "assistant", "content": ""}
        return [encode(self._final(message, [], end)) + b"\n"]

    def error_line(self, text: str) -> bytes:
        return encode({"error": text}) + b"\n"

    def whole(self, replies: Sequence[chat_pb2.ChatResponse], end: End) -> web.Response:
        pieces = [piece for reply in replies for piece in reply.pieces.pieces]
        message: dict[str, object] = {
            "role": "assistant",
            "content": "".join(piece.content for piece in pieces),
        }
        if thinking := "".join(piece.thinking for piece in pieces):
            message["thinking"] = thinking
        if calls := [call for piece in pieces for call in _calls(piece.tool_calls)]:
            message["tool_calls"] = calls
        entries = [entry for piece in pieces for entry in logprob_entries(piece.logprobs)]
        return json_response(self._final(message, entries, end))

    def _final(
        self, message: object, logprobs: Sequence[dict[str, object]], end: End
    ) -> dict[str, object]:
        answer = {
            **self._opening(),
            "message": message,
            "done": True,
            "done_reason": end.done_reason,
        }
        if logprobs:
            answer["logprobs"] = logprobs
        return answer | end.counts() | end.dropped()

    def _opening(self) -> dict[str, object]:
        return {"model": self._model, "created_at": self._stamp().decode()}


def _calls(calls: Iterable[chat_pb2.ToolCall]) -> list[dict[str, object]]:
    return [_call(call) for call in calls]


def _call(call: chat_pb2.ToolCall) -> dict[str, object]:
    function = {
        "index": call.index,
        "name": call.name,
        "arguments": struct_json(call.arguments),
    }
    return {"id": call.id, "function": function} if call.id else {"function": function}
