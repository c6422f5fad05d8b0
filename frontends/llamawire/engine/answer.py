"""What a model says, told apart: answer, thinking, calls of tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from llamawire.engine.job import Finished, Piece, Update
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

    def read(self, updates: list[Update]) -> list[Update]:
        found: list[Update] = []
        for update in updates:
            if isinstance(update, Piece):
                self._held_ids.extend(update.token_ids)
                found.extend(self._pieces(self._parser.feed(update.text)))
            elif isinstance(update, Finished):
                found.extend(self._pieces(self._parser.finish()))
                if self._held_ids:
                    found.append(Piece("", self._take_ids()))
                found.append(update)
            else:
                found.append(update)
        return found

    def _pieces(self, events: Iterable[OutputEvent]) -> Iterable[Piece]:
        for event in events:
            if isinstance(event, Content | Rejected):
                # What only looked like a call is shown as it is: nothing of an answer is lost.
                yield Piece(event.text, self._take_ids())
            elif isinstance(event, Thinking):
                yield Piece("", self._take_ids(), thinking=event.text)
            elif isinstance(event, Call):
                yield Piece("", self._take_ids(), calls=(event.call,))

    def _take_ids(self) -> tuple[int, ...]:
        ids = tuple(self._held_ids)
        self._held_ids.clear()
        return ids
