"""The items of an answer, which open, grow and close one after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias

from llamawire.v1 import chat_pb2

from ...gojson import encode
from ...structs import struct_json

__all__ = ["Event", "OutputItems", "new_number"]

Event: TypeAlias = tuple[str, dict[str, object]]
"""What a stream says: the type, and what else it has but its number."""


def new_number() -> int:
    """For an id."""
    return random.getrandbits(53)


class OutputItems:
    """Reads pieces; says what a stream shows of each, and keeps the items as they become whole."""

    def __init__(self, response_id: str) -> None:
        self.items: list[dict[str, object]] = []
        self._response_id = response_id
        self._open: _Reasoning | _Message | None = None
        self._call_count = 0

    def feed(self, piece: chat_pb2.ChatPiece) -> list[Event]:
        events: list[Event] = []
        if piece.thinking:
            if not isinstance(self._open, _Reasoning):
                events += [*self.close(), *self._begin(_Reasoning(self._reasoning_id(), self._at))]
            events += self._grow(piece.thinking)
        if piece.content:
            if not isinstance(self._open, _Message):
                events += [*self.close(), *self._begin(_Message(self._at))]
            events += self._grow(piece.content)
        for call in piece.tool_calls:
            events += [*self.close(), *self._call(call)]
        return events

    def finish(self) -> list[Event]:
        """The answer is whole; one without anything has an empty text."""
        begun = [] if self.items or self._open else self._begin(_Message(self._at))
        return [*begun, *self.close()]

    def close(self) -> list[Event]:
        """Ends the open item, if there is one."""
        if self._open is None:
            return []
        events, item = self._open.closing()
        self._open = None
        self.items.append(item)
        return events

    @property
    def _at(self) -> int:
        """`output_index` of the open item, or of the next one."""
        return len(self.items)

    def _begin(self, item: _Reasoning | _Message) -> list[Event]:
        self._open = item
        return item.opening()

    def _grow(self, text: str) -> list[Event]:
        return [self._open.growing(text)] if self._open else []

    def _reasoning_id(self) -> str:
        """Upstream thinks but once."""
        return f"rs_{self._response_id}" + (f"_{self._at}" if self.items else "")

    def _call(self, call: chat_pb2.ToolCall) -> list[Event]:
        """A call is whole when it comes."""
        id_, index = f"fc_{self._response_id}_{self._call_count}", self._at
        arguments = encode(struct_json(call.arguments)).decode()
        begun: dict[str, object] = {
            "id": id_, "type": "function_call", "status": "in_progress", "call_id": call.id,
            "name": call.name, "arguments": "",
        }  # fmt: skip
        item = {**begun, "status": "completed", "arguments": arguments}
        self._call_count += 1
        self.items.append(item)
        place: dict[str, object] = {"item_id": id_, "output_index": index}
        calling = "response.function_call_arguments"
        return [
            _added(index, begun),
            (f"{calling}.delta", {**place, "delta": arguments}),
            (f"{calling}.done", {**place, "arguments": arguments}),
            _done(index, item),
        ]


class _Reasoning:
    """What the model thinks."""

    def __init__(self, id_: str, index: int) -> None:
        self._id = id_
        self._index = index
        self._place = {"item_id": id_, "output_index": index, "summary_index": 0}
        self._texts: list[str] = []

    def opening(self) -> list[Event]:
        return [_added(self._index, {"id": self._id, "type": "reasoning", "summary": []})]

    def growing(self, text: str) -> Event:
        self._texts.append(text)
        return "response.reasoning_summary_text.delta", {**self._place, "delta": text}

    def closing(self) -> tuple[list[Event], dict[str, object]]:
        """The last events, and the item. Nothing is encrypted: the field is what clients send back
        with the next question, and the engine wants the thinking as it was."""
        text = "".join(self._texts)
        item: dict[str, object] = {
            "id": self._id,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text}],
            "encrypted_content": text,
        }
        whole: Event = ("response.reasoning_summary_text.done", {**self._place, "text": text})
        return [whole, _done(self._index, item)], item


class _Message:
    """What the model says."""

    def __init__(self, index: int) -> None:
        self._id = f"msg_{new_number()}"
        self._index = index
        self._place = {"item_id": self._id, "output_index": index, "content_index": 0}
        self._texts: list[str] = []

    def opening(self) -> list[Event]:
        return [
            _added(self._index, self._item("in_progress", [])),
            ("response.content_part.added", {**self._place, "part": _part("")}),
        ]

    def growing(self, text: str) -> Event:
        self._texts.append(text)
        return "response.output_text.delta", {**self._place, "delta": text, "logprobs": []}

    def closing(self) -> tuple[list[Event], dict[str, object]]:
        """The last events, and the item."""
        text = "".join(self._texts)
        item = self._item("completed", [_part(text)])
        events: list[Event] = [
            ("response.output_text.done", {**self._place, "text": text, "logprobs": []}),
            ("response.content_part.done", {**self._place, "part": _part(text)}),
            _done(self._index, item),
        ]
        return events, item

    def _item(self, status: str, content: Sequence[object]) -> dict[str, object]:
        return {
            "id": self._id, "type": "message", "status": status, "role": "assistant",
            "content": content,
        }  # fmt: skip


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _added(index: int, item: dict[str, object]) -> Event:
    return "response.output_item.added", {"output_index": index, "item": item}


def _done(index: int, item: dict[str, object]) -> Event:
    return "response.output_item.done", {"output_index": index, "item": item}
