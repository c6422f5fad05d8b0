"""A talk with a model: reads a line, answers it, until `/bye`.

Lines that begin with `/` are commands. As in Ollama a command is known by how its line begins, so
that `/byebye` leaves as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc

from llamawire.cli import repl_help, repl_set, repl_show
from llamawire.cli.answer import Style, print_answer
from llamawire.cli.client import Client
from llamawire.cli.conversation import Conversation
from llamawire.cli.create import create_request
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.history import HistoryFile
from llamawire.cli.listing import models_table
from llamawire.cli.media import names_picture
from llamawire.cli.multiline import Entry, Multiline
from llamawire.cli.names import ModelName
from llamawire.cli.progress import show_waiting
from llamawire.cli.prompt import Prompt
from llamawire.cli.replies import replies
from llamawire.cli.terminal import Terminal
from llamawire.v1.model_service_pb2 import GetModelRequest

__all__ = ["Repl", "start"]

HISTORY = Path("~/.llamawire/history")


def start(conversation: Conversation, client: Client, terminal: Terminal, style: Style) -> None:
    history = HistoryFile(HISTORY.expanduser(), is_enabled=not terminal.is_set("NOHISTORY"))
    Repl(conversation, client, terminal, style, Prompt(history)).run()


class Repl:
    """One talk. What a user does wrong and what the server refuses is told, and the talk goes on;
    `run` raises grpc.RpcError only if the model cannot be loaded at the start."""

    def __init__(
        self,
        conversation: Conversation,
        client: Client,
        terminal: Terminal,
        style: Style,
        prompt: Prompt,
    ) -> None:
        self.conversation = conversation
        self.client = client
        self.terminal = terminal
        self.style = style
        self.prompt = prompt

    def run(self) -> None:
        self._load(self.conversation)
        multiline = Multiline()
        while True:
            try:
                entry = multiline.feed(self._read(is_continued=multiline.is_open))
            except KeyboardInterrupt:
                multiline.reset()
                self.terminal.print("\nUse Ctrl + d or /bye to exit.")
                continue
            except EOFError:
                self.terminal.print()
                return
            if entry is not None and not self._handle(entry):
                return

    def _read(self, *, is_continued: bool) -> str:
        if is_continued:
            return self.prompt.read("... ", "Press Enter to send")
        return self.prompt.read(">>> ", "Send a message (/? for help)")

    def _load(self, conversation: Conversation) -> None:
        with show_waiting(self.terminal.stderr, f"loading {conversation.model}"):
            conversation.load()

    def _handle(self, entry: Entry) -> bool:
        """False ends the talk."""
        if not entry.text.strip():
            return True
        is_command = entry.text.startswith("/") and not entry.is_quoted
        if is_command and self.style.sees and names_picture(entry.text):
            is_command = False
        if is_command and entry.text.startswith(("/bye", "/exit")):
            return False
        try:
            if is_command:
                self._command(entry.text)
            else:
                print_answer(self.conversation, entry.text, self.terminal, self.style)
        except grpc.RpcError as error:
            text = Failure.of(error).text(self.client.connection.url)
            self.terminal.note(f"Error: {text}")
        except (CliError, OSError) as error:
            self.terminal.note(f"Error: {error}")
        except KeyboardInterrupt:
            self.terminal.print("\n")
        return True

    def _command(self, line: str) -> None:
        commands: tuple[tuple[str, Callable[[str], None]], ...] = (
            ("/list", self._list),
            ("/load", self._change_model),
            ("/save", self._save),
            ("/clear", self._clear),
            ("/set", lambda text: repl_set.run(self, text)),
            ("/show", lambda text: repl_show.run(self, text)),
            ("/help", self._help),
            ("/?", self._help),
        )
        word = line.split(maxsplit=1)[0]
        for name, command in commands:
            if word.startswith(name):
                command(line[len(word) :].lstrip(" "))
                return
        self.terminal.print(f"Unknown command '{word}'. Type /? for help")

    def _list(self, text: str) -> None:
        words = text.split()
        self.terminal.print(models_table(self.client, words[0] if words else ""), end="")

    def _change_model(self, text: str) -> None:
        words = text.split()
        if len(words) != 1:
            self.terminal.print("Usage:\n  /load <modelname>")
            return
        (name,) = words
        if self._is_missing(name):
            self.terminal.print(f"Couldn't find model '{name}'")
            return
        self.terminal.print(f"Loading model '{name}'")
        conversation = Conversation(self.client, name, self.conversation.settings)
        self._load(conversation)
        self.conversation = conversation

    def _is_missing(self, name: str) -> bool:
        try:
            self.client.models.GetModel(GetModelRequest(model=name))
        except grpc.RpcError as error:
            if Failure.of(error).is_not_found:
                return True
            raise
        return False

    def _save(self, text: str) -> None:
        words = text.split()
        if len(words) != 1:
            self.terminal.print("Usage:\n  /save <modelname>")
            return
        (name,) = words
        if ModelName.parse(name) is None:
            self.terminal.print(f"error: The model name '{name}' is invalid")
            return
        request = create_request(
            name,
            base=self.conversation.model,
            system=self.conversation.settings.system,
            parameters=self.conversation.settings.parameters,
            messages=self.conversation.turns,
        )
        for _ in replies(self.client.models.CreateModel, request):
            pass
        self.terminal.print(f"Created new model '{name}'")

    def _clear(self, text: str) -> None:
        self.conversation.clear()
        self.terminal.print("Cleared session context")

    def _help(self, text: str) -> None:
        self.terminal.note(repl_help.help_text(text.strip()))
