"""What a model says, told apart: answer, thinking, calls of tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from llamawire.engine.job import Finished, Piece, TokenLogprob, Update
from llamawire.engine.prompt import ToolCall
from llamawire.engine.prompt.output import (
    Call,
    Content,
    OutputEvent,
    OutputParser,
    Rejected,
    Thinking,
)

__all__ = ["AnswerReader", "ParsedAnswer", "PlainAnswer"]


class AnswerReader(Protocol):
    """Makes of a run's updates what the client is to see."""

    def read(self, updates: list[Update]) -> list[Update]: ...


class PlainAnswer:
    """All text is the answer."""

    def read(self, updates: list[Update]) -> list[Update]:
        return updates


class ParsedAnswer:
    """Text goes through a parser, which may hold some of it back.

    Tokens whose text is held, or is markup that nobody is shown, travel with the next piece.
    """

    def __init__(self, parser: OutputParser) -> None:
        self._parser = parser
        self._held_ids: list[int] = []
        self._held_logprobs: list[TokenLogprob] = []

    def read(self, updates: list[Update]) -> list[Update]:
        found: list[Update] = []
        for update in updates:
            if isinstance(update, Piece):
                self._held_ids.extend(update.token_ids)
                self._held_logprobs.extend(update.logprobs)
                found.extend(self._pieces(self._parser.feed(update.text)))
            elif isinstance(update, Finished):
                found.extend(self._pieces(self._parser.finish()))
                if self._held_ids:
                    found.append(self._piece())
                found.append(update)
            else:
                found.append(update)
        return found

    def _pieces(self, events: Iterable[OutputEvent]) -> Iterable[Piece]:
        for event in events:
            if isinstance(event, Content | Rejected):
                # What only looked like a call is shown as it is: nothing of an answer is lost.
                yield self._piece(text=event.text)
            elif isinstance(event, Thinking):
                yield self._piece(thinking=event.text)
            elif isinstance(event, Call):
                yield self._piece(calls=(event.call,))

    def _piece(
        self, *, text: str = "", thinking: str = "", calls: tuple[ToolCall, ...] = ()
    ) -> Piece:
        """What was found, with all tokens since the last piece."""
        piece = Piece(text, tuple(self._held_ids), thinking, calls, tuple(self._held_logprobs))
        self._held_ids.clear()
        self._held_logprobs.clear()
        return piece
