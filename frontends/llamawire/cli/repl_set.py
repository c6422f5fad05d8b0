"""`/set …` in a talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamawire.cli.errors import CliError
from llamawire.cli.options import read_parameter
from llamawire.cli.repl_help import help_text
from llamawire.cli.run import json_format, think_level
from llamawire.modelfile import ModelfileError
from llamawire.v1 import model_pb2
from llamawire.v1.generation_pb2 import Think
from llamawire.v1.model_service_pb2 import GetModelRequest

if TYPE_CHECKING:
    from llamawire.cli.repl import Repl

__all__ = ["run"]

_BAD_FORMAT = "Invalid or missing format. For 'json' mode use '/set format json'"
# Style's fields by the words that change them.
_MODES = {
    "wordwrap": ("wrap", True),
    "nowordwrap": ("wrap", False),
    "verbose": ("verbose", True),
    "quiet": ("verbose", False),
}


def run(repl: Repl, text: str) -> None:
    """`text` is what stands behind `/set`."""
    word, _, rest = text.partition(" ")
    if word in _MODES:
        name, value = _MODES[word]
        setattr(repl.style, name, value)
        repl.terminal.print(f"Set '{word}' mode.")
    elif word in ("history", "nohistory"):
        repl.prompt.history.is_enabled = word == "history"
    elif word == "parameter":
        _set_parameter(repl, rest.split())
    elif word == "system":
        _set_system(repl, rest)
    elif word in ("format", "noformat"):
        _set_format(repl, word, rest.strip())
    elif word in ("think", "nothink"):
        _set_think(repl, word, rest.strip())
    elif word:
        repl.terminal.print(f"Unknown command '/set {word}'. Type /? for help")
    else:
        repl.terminal.note(help_text("set"))


def _set_parameter(repl: Repl, words: list[str]) -> None:
    if len(words) < 2:
        repl.terminal.note(help_text("parameter"))
        return
    name, *texts = words
    try:
        value = read_parameter(name, texts)
    except ModelfileError as error:
        repl.terminal.print(f'Couldn\'t set parameter: "{error}"')
        return
    repl.conversation.settings.parameters[name] = value
    repl.terminal.print(f"Set parameter '{name}' to '{', '.join(texts)}'")


def _set_system(repl: Repl, text: str) -> None:
    if not text.strip():
        repl.terminal.note(help_text("set"))
        return
    repl.conversation.settings.system = text
    repl.terminal.print("Set system message.")


def _set_format(repl: Repl, word: str, text: str) -> None:
    if word == "noformat":
        repl.conversation.settings.format = None
        repl.terminal.print("Disabled format.")
    elif text == "json":
        repl.conversation.settings.format = json_format(text)
        repl.terminal.print(f"Set format to '{text}' mode.")
    else:
        repl.terminal.print(_BAD_FORMAT)


def _set_think(repl: Repl, word: str, level: str) -> None:
    if word == "nothink":
        repl.conversation.settings.think = Think(enabled=False)
        repl.terminal.print("Set 'nothink' mode.")
    else:
        try:
            repl.conversation.settings.think = think_level(level or "true")
        except CliError as error:
            repl.terminal.print(str(error).replace("--think", "'/set think'"))
            return
        repl.terminal.print(f"Set 'think' mode to '{level}'." if level else "Set 'think' mode.")
    _warn_of_thinking(repl)


def _warn_of_thinking(repl: Repl) -> None:
    name = repl.conversation.model
    model = repl.client.models.GetModel(GetModelRequest(model=name)).model
    if model_pb2.CAPABILITY_THINKING not in model.capabilities:
        repl.terminal.note(f'warning: model "{name}" does not support thinking output')
