"""`/show …` in a talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamawire.cli.repl_help import help_text
from llamawire.cli.show import model_text
from llamawire.v1.model_service_pb2 import ShowModelRequest

if TYPE_CHECKING:
    from llamawire.cli.repl import Repl

__all__ = ["run"]

_ASPECTS = ("info", "license", "modelfile", "parameters", "system", "template")


def run(repl: Repl, text: str) -> None:
    """`text` is what stands behind `/show`."""
    words = text.split()
    if not words:
        repl.terminal.note(help_text("show"))
        return
    aspect = words[0]
    if aspect not in _ASPECTS:
        repl.terminal.print(f"Unknown command '/show {aspect}'. Type /? for help")
        return
    settings = repl.conversation.settings
    request = ShowModelRequest(model=repl.conversation.model, system=settings.system)
    request.options.update(dict(settings.parameters))
    shown = repl.client.models.ShowModel(request)
    if aspect == "info":
        repl.terminal.note(model_text(shown))
        return
    texts = {
        "license": "\n".join(shown.licenses) or "No license was specified for this model.",
        "modelfile": shown.modelfile,
        "parameters": _parameters(repl, shown.parameters),
        "system": settings.system
        or shown.system
        or "No system message was specified for this model.",
        "template": shown.template or "No prompt template was specified for this model.",
    }
    repl.terminal.print(texts[aspect])


def _parameters(repl: Repl, models_own: str) -> str:
    lines = models_own.splitlines() or ["No additional parameters were specified for this model."]
    text = "Model defined parameters:\n" + "".join(f"  {line}\n" for line in lines)
    if chosen := repl.conversation.settings.parameters:
        text += "\nUser defined parameters:\n"
        for name, value in chosen.items():
            shown = ", ".join(value) if isinstance(value, list) else str(value)
            text += f"  {name:<30} {shown}\n"
    return text
