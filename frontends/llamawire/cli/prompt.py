"""The line that people type on."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from llamawire.cli.history import HistoryFile

__all__ = ["Prompt"]


class Prompt:
    """Reads lines with editing, history and pastes of several lines. `input` and `output` are the
    terminal if they are not given."""

    def __init__(
        self, history: HistoryFile, input: Input | None = None, output: Output | None = None
    ) -> None:
        self.history = history
        self._session: PromptSession[str] = PromptSession(
            history=history, key_bindings=_bindings(), input=input, output=output
        )

    def read(self, prefix: str, placeholder: str) -> str:
        """A line. Raises EOFError at Ctrl-D and KeyboardInterrupt at Ctrl-C."""
        grey = FormattedText([("ansibrightblack", placeholder)])
        return self._session.prompt(prefix, placeholder=grey)


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-j")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-g")
    def _edit(event: KeyPressEvent) -> None:
        event.current_buffer.open_in_editor()

    return bindings
