"""The blocks of an answer, which open, grow and close one after the other."""

from __future__ import annotations

from typing import TypeAlias

from llamawire.v1 import chat_pb2

from ..gojson import encode
from ..structs import struct_json

__all__ = ["AnswerBlocks", "Event"]

Event: TypeAlias = dict[str, object]
"""What a stream says; its `type` comes first."""


class AnswerBlocks:
    """Reads pieces; says what a stream shows of each, and keeps the blocks as they become whole."""

    def __init__(self) -> None:
        self.content: list[dict[str, object]] = []
        # Of the open block: `thinking`, `text`, or empty if none is open.
        self._type = ""
        self._parts: list[str] = []

    def feed(self, piece: chat_pb2.ChatPiece) -> list[Event]:
        events: list[Event] = []
        if piece.thinking:
            events += self._grow("thinking", piece.thinking)
        if piece.content:
            events += self._grow("text", piece.content)
        for call in piece.tool_calls:
            events += self._call(call)
        return events

    def close(self) -> list[Event]:
        """Ends the open block, if there is one."""
        if not self._type:
            return []
        stop = self._stop()
        self.content.append({"type": self._type, self._type: "".join(self._parts)})
        self._type, self._parts = "", []
        return [stop]

    def _grow(self, type_: str, text: str) -> list[Event]:
        events: list[Event] = []
        if self._type != type_:
            events = [*self.close(), self._start({"type": type_, type_: ""})]
            self._type = type_
        self._parts.append(text)
        return [*events, self._delta({"type": f"{type_}_delta", type_: text})]

    def _call(self, call: chat_pb2.ToolCall) -> list[Event]:
        """A call is whole when it comes."""
        before = self.close()
        block = {"type": "tool_use", "id": call.id, "name": call.name}
        arguments = struct_json(call.arguments)
        text = encode(arguments).decode()
        events = [
            *before,
            self._start({**block, "input": {}}),
            self._delta({"type": "input_json_delta", "partial_json": text}),
            self._stop(),
        ]
        self.content.append({**block, "input": arguments})
        return events

    # The open block is the next one of the content.

    def _start(self, block: dict[str, object]) -> Event:
        index = len(self.content)
        return {"type": "content_block_start", "index": index, "content_block": block}

    def _delta(self, delta: dict[str, object]) -> Event:
        return {"type": "content_block_delta", "index": len(self.content), "delta": delta}

    def _stop(self) -> Event:
        return {"type": "content_block_stop", "index": len(self.content)}
