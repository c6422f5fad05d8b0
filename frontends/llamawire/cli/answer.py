"""An answer on its way to the terminal, and what there is to say of it afterwards."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import grpc

from llamawire.cli.conversation import Conversation, Text
from llamawire.cli.durations import duration_text
from llamawire.cli.media import take_pictures
from llamawire.cli.terminal import Terminal
from llamawire.cli.word_wrap import WordWrap
from llamawire.v1.generation_pb2 import Finished

__all__ = ["Style", "print_answer", "timings_text"]

# Columns left free at the right.
MARGIN = 5


@dataclass
class Style:
    """How answers are shown."""

    wrap: bool = True
    """Break lines between words; on a terminal only."""
    verbose: bool = False
    """Print counts and times after each answer."""
    hide_thinking: bool = False
    sees: bool = False
    """The model takes images."""


def print_answer(conversation: Conversation, prompt: str, terminal: Terminal, style: Style) -> None:
    """Asks and prints as the answer comes. Whatever ends it early ends the server's work too.

    If the model sees, pictures that the prompt names by their paths go with it. Raises
    grpc.RpcError, CliError for a file that is no picture.
    """
    images: list[bytes] = []
    if style.sees:
        prompt, pictures = take_pictures(prompt)
        for name, data in pictures:
            terminal.note(f"Added image '{name}'")
            images.append(data)
    finished: Finished | None = None
    printer = _Printer(terminal, style)
    try:
        with closing(conversation.ask(prompt, images)) as events:
            for event in events:
                if isinstance(event, Text):
                    printer.print(event)
                else:
                    finished = event
    except grpc.RpcError:
        printer.end_line()
        raise
    printer.end_thinking()
    if prompt:
        terminal.print("\n")
    if finished:
        _print_notes(finished, terminal, style)


class _Printer:
    """Thinking first, between two lines that say so, then the answer."""

    def __init__(self, terminal: Terminal, style: Style) -> None:
        self._terminal = terminal
        self._hide_thinking = style.hide_thinking
        is_wrapped = style.wrap and terminal.stdout.isatty()
        self._wrap = WordWrap(terminal.columns - MARGIN) if is_wrapped else None
        self._thoughts = ""
        self._last = "\n"

    def print(self, text: Text) -> None:
        if text.thinking and not self._hide_thinking:
            if not self._thoughts:
                self._write("Thinking...\n")
            self._thoughts = text.thinking
            self._write(text.thinking)
        if text.content:
            self.end_thinking()
            self._write(text.content)

    def end_thinking(self) -> None:
        if self._thoughts:
            newline = "" if self._thoughts.endswith("\n") else "\n"
            self._write(f"{newline}...done thinking.\n\n")
        self._thoughts = ""

    def end_line(self) -> None:
        """What comes next stands on a line of its own."""
        if not self._last.endswith("\n"):
            self._write("\n")

    def _write(self, text: str) -> None:
        self._last = text
        self._terminal.print(self._wrap.feed(text) if self._wrap else text, end="")


def _print_notes(finished: Finished, terminal: Terminal, style: Style) -> None:
    if dropped := finished.prompt_dropped_count:
        terminal.note(f"Warning: {dropped} token(s) of the prompt did not fit and were left out")
    if style.verbose:
        terminal.note(timings_text(finished))


def timings_text(finished: Finished) -> str:
    """Counts and times, those that are not zero, as `--verbose` prints them."""
    decoded = finished.prompt_count - finished.prompt_cached_count
    lines = (
        ("total duration", duration_text(finished.total_ns), finished.total_ns),
        ("load duration", duration_text(finished.load_ns), finished.load_ns),
        ("prompt eval count", f"{finished.prompt_count} token(s)", finished.prompt_count),
        ("prompt eval duration", duration_text(finished.prompt_ns), finished.prompt_ns),
        ("prompt eval rate", _rate(decoded, finished.prompt_ns), finished.prompt_ns),
        ("eval count", f"{finished.generated_count} token(s)", finished.generated_count),
        ("eval duration", duration_text(finished.generate_ns), finished.generate_ns),
        ("eval rate", _rate(finished.generated_count, finished.generate_ns), finished.generate_ns),
    )
    return "\n".join(f"{label + ':':<21} {text}" for label, text, value in lines if value)


def _rate(count: int, nanoseconds: int) -> str:
    return f"{count * 1e9 / nanoseconds:.2f} tokens/s" if nanoseconds else ""
