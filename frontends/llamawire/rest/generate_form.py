"""The answers of /api/generate. Keys stand in the order that clients see."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from llamawire.v1 import generation_pb2, generation_service_pb2

from .forms import End, debug_info, logprob_entries
from .gojson import encode
from .ndjson import NDJSON, json_response
from .times import UtcStamp

__all__ = ["GenerateForm"]


class GenerateForm:
    """One answer; of a line all but the text and the time is ready beforehand."""

    content_type = NDJSON

    def __init__(self, model: str, stamp: UtcStamp) -> None:
        self._model = model
        self._stamp = stamp
        self._head = b'{"model":' + encode(model) + b',"created_at":"'

    def loaded(self, reason: str) -> web.Response:
        return json_response(
            {**self._opening(), "response": "", "done": True, "done_reason": reason}
        )

    def rendered(self, rendered: generation_service_pb2.RenderResponse) -> web.Response:
        info = debug_info(rendered)
        return json_response(
            {**self._opening(), "response": "", "done": False, "_debug_info": info}
        )

    def lines(self, reply: generation_pb2.GenerateResponse) -> list[bytes]:
        pieces = reply.pieces.pieces
        return [self._line(one) for one in pieces if one.text or one.thinking or len(one.logprobs)]

    def _line(self, piece: generation_pb2.Piece) -> bytes:
        parts = [self._head, self._stamp(), b'","response":', encode(piece.text)]
        if piece.thinking:
            parts += b',"thinking":', encode(piece.thinking)
        parts.append(b',"done":false')
        if len(piece.logprobs):
            parts += b',"logprobs":', encode(logprob_entries(piece.logprobs))
        parts.append(b"}\n")
        return b"".join(parts)

    def last(self, end: End) -> list[bytes]:
        return [encode(self._final("", "", [], end)) + b"\n"]

    def error_line(self, text: str) -> bytes:
        return encode({"error": text}) + b"\n"

    def whole(self, replies: Sequence[generation_pb2.GenerateResponse], end: End) -> web.Response:
        pieces = [piece for reply in replies for piece in reply.pieces.pieces]
        response = "".join(piece.text for piece in pieces)
        thinking = "".join(piece.thinking for piece in pieces)
        entries = [entry for piece in pieces for entry in logprob_entries(piece.logprobs)]
        return json_response(self._final(response, thinking, entries, end))

    def _final(
        self, response: str, thinking: str, logprobs: Sequence[dict[str, object]], end: End
    ) -> dict[str, object]:
        answer = {**self._opening(), "response": response}
        if thinking:
            answer["thinking"] = thinking
        answer |= {"done": True, "done_reason": end.done_reason}
        if end.finished.context.ids:
            answer["context"] = list(end.finished.context.ids)
        answer |= end.counts()
        if logprobs:
            answer["logprobs"] = logprobs
        return answer | end.dropped()

    def _opening(self) -> dict[str, object]:
        return {"model": self._model, "created_at": self._stamp().decode()}
