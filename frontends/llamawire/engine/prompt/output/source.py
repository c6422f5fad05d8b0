"""The output that has come so far, as a script reads it.

A format is a script: a generator that reads like the format's description and says `yield` where
it needs more text. All the text it reads is held until the script knows what it is; then all that
is held becomes one event. So no text can be lost or come twice, whatever the script does.

    wait for a tag  →  text before it is content  →  hold what follows  →  it is a call

What a script waits for is short (a tag, a bracket), and what is held is kept in pieces that are
joined once. So the work grows with the text, and not with its square.
"""

import re
from collections import deque
from collections.abc import Callable, Generator
from typing import Final, TypeAlias, TypeVar

from llamawire.engine.prompt.output.brackets import JSON, BracketScanner, Notation
from llamawire.engine.prompt.output.events import (
    Call,
    Content,
    Markup,
    OutputEvent,
    Rejected,
    RejectReason,
    Thinking,
)
from llamawire.engine.prompt.output.limits import OutputLimits
from llamawire.engine.prompt.output.marks import split_marks
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["HeldTooLong", "Reading", "Source"]

T = TypeVar("T")
Reading: TypeAlias = Generator[None, None, T]
"""Reads something; yields whenever there is not yet enough text to know it."""

Piece: TypeAlias = type[Thinking] | type[Content] | type[Markup]

_WHITESPACE: Final = re.compile(r"\s*")
_PROMPT_END_CHARS: Final = 2048


class HeldTooLong(Exception):
    """More text had to be held than `call_chars_max`. It is still held."""


class Source:
    """Text in, events out; the script between them calls the methods in the second half."""

    __slots__ = (
        "_base",
        "_events",
        "_held",
        "_held_chars",
        "_mark_spans",
        "_position",
        "_text",
        "has_ended",
        "is_formed",
        "is_thinking",
        "limits",
        "prompt_end",
    )

    def __init__(self, prompt: str, limits: OutputLimits, *, is_formed: bool = False) -> None:
        self.limits = limits
        self.is_formed = is_formed
        """The answer has a form: once it has begun, all that comes is the answer."""
        self.prompt_end = prompt[-_PROMPT_END_CHARS:].rstrip()
        """A prompt can begin the answer: with the tag of its thinking, say."""
        self.is_thinking = False
        self.has_ended = False
        self._text = ""
        self._base = 0  # where in the whole output `_text` begins
        self._position = 0
        self._mark_spans: deque[tuple[int, int]] = deque()  # in the whole output
        self._held: list[str] = []
        self._held_chars = 0
        self._events: list[OutputEvent] = []

    # For the parser.

    def feed(self, text: str) -> None:
        parts = [self._text[self._position :]]
        self._base += self._position
        self._position = 0
        end = self._base + len(parts[0])
        for part, is_mark in split_marks(text):
            parts.append(part)
            if is_mark:
                self._mark_spans.append((end, end + len(part)))
            end += len(part)
        self._text = "".join(parts)

    def drain(self) -> list[OutputEvent]:
        events, self._events = self._events, []
        return events

    # For the script: reading.

    @property
    def is_at_end(self) -> bool:
        """Nothing is left and nothing will come."""
        return self.has_ended and self._position == len(self._text)

    def take(self, chars: int) -> None:
        """Reads so many characters of what has come."""
        self._read_to(self._position + chars)

    def whitespace(self) -> Reading[None]:
        """Reads blank space, up to something that is none."""
        while True:
            match = _WHITESPACE.match(self._text, self._position)
            assert match
            self._read_to(match.end())
            if self._position < len(self._text) or self.has_ended:
                return
            yield

    def at(self, *tags: str) -> Reading[str]:
        """Which of the tags comes next, or ""; reads nothing."""
        while True:
            for tag in tags:
                if self._text.startswith(tag, self._position):
                    return tag
            rest = self._text[self._position : self._position + max(map(len, tags))]
            if self.has_ended or not any(tag.startswith(rest) for tag in tags):
                return ""
            yield

    def until(self, tags: Tags, piece: Piece | None = None) -> Reading[str]:
        """Reads up to the first of the tags; gives it back, or "" when there is none to the end.

        With `piece` the text goes out as it comes, else it is held.
        """
        while True:
            end, tag = tags.find(self._text, self._position, is_whole=self.has_ended)
            if piece:
                self._pass_to(end, piece)
            else:
                self._read_to(end)
            if tag or self.has_ended:
                return tag
            yield

    def text_until(self, tags: Tags) -> Reading[str | None]:
        """The text up to the first of the tags, held as well; None when the tag never came."""
        mark = self.mark()
        tag = yield from self.until(tags)
        return self.text_since(mark) if tag else None

    def brackets(self, notation: Notation = JSON) -> Reading[str | None]:
        """The bracket that comes next and all it encloses; None when it is never closed.

        Where JSON is cut short by a tag, its missing brackets are added: small models forget them.
        """
        mark = self.mark()
        scanner = BracketScanner(notation, self.limits.depth_max)
        while True:
            self._read_to(scanner.scan(self._text, self._position))
            if scanner.is_closed:
                return self.text_since(mark)
            if scanner.is_broken:
                is_cut = notation is JSON and self._text.startswith("<", self._position)
                return self.text_since(mark) + scanner.missing if is_cut else None
            if self.has_ended:
                return None
            yield

    def rest(self, piece: Piece) -> Reading[None]:
        """Reads all there is and all that will come."""
        while True:
            self._pass_to(len(self._text), piece)
            if self.has_ended:
                return
            yield

    def rejected_rest(self, reason: RejectReason) -> Reading[None]:
        """The same, but none of it is of any use."""
        while True:
            self._hold(len(self._text))
            self.reject(reason)
            if self.has_ended:
                return
            yield

    def mark(self) -> int:
        """The place where reading stands, for `text_since`."""
        return len(self._held)

    def text_since(self, mark: int) -> str:
        """What was read since then; nothing may have been let go in between."""
        return "".join(self._held[mark:])

    # For the script: what it was.

    def release(self, piece: Piece) -> None:
        """What is held is a piece of that kind."""
        if text := self._let_go(is_seen=piece is not Markup):
            last = self._events[-1] if self._events else None
            if isinstance(last, piece):
                text = self._events.pop().text + text
            self._events.append(piece(text))

    def reject(self, reason: RejectReason) -> None:
        """What is held is of no use."""
        if text := self._let_go(is_seen=True):
            last = self._events[-1] if self._events else None
            if isinstance(last, Rejected) and last.reason == reason:
                text = self._events.pop().text + text
            self._events.append(Rejected(text, reason))

    def call(self, make: Callable[[str], Call]) -> None:
        """What is held is a call."""
        self._events.append(make(self._let_go()))

    def _read_to(self, end: int) -> None:
        if self._held_chars + end - self._position > self.limits.call_chars_max:
            raise HeldTooLong
        self._hold(end)

    def _hold(self, end: int) -> None:
        if end > self._position:
            self._held.append(self._text[self._position : end])
            self._held_chars += end - self._position
            self._position = end

    def _pass_to(self, end: int, piece: Piece) -> None:
        self._hold(end)
        self.release(piece)

    def _let_go(self, *, is_seen: bool = False) -> str:
        """What is held; where a client sees it, without the marks in it."""
        text = "".join(self._held)
        self._held.clear()
        self._held_chars = 0
        end = self._base + self._position
        begin = end - len(text)
        kept = []
        done = 0
        while self._mark_spans and self._mark_spans[0][0] < end:
            first, last = self._mark_spans[0]
            kept.append(text[done : max(first - begin, done)])
            done = min(last, end) - begin
            if last > end:
                break  # its rest comes with what is let go next
            self._mark_spans.popleft()
        return "".join([*kept, text[done:]]) if is_seen else text
