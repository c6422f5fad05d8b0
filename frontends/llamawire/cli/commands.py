"""The table of all commands."""

from __future__ import annotations

import difflib
import math

from llamawire.cli import create, listing, models, run, serve, show, transfer
from llamawire.cli.bench import command as bench
from llamawire.cli.command import Command
from llamawire.cli.errors import CliError

__all__ = ["COMMANDS", "command_named", "commands_text"]

COMMANDS = (
    Command(
        "serve", "run the daemon: REST and gRPC", serve.serve, aliases=("start",), is_local=True
    ),
    Command(
        "rest",
        "run the REST adapter alone",
        serve.rest,
        "[--engine HOST:PORT] [--listen HOST:PORT]",
        is_local=True,
        is_raw=True,
    ),
    Command(
        "keys",
        "make, list and revoke API keys",
        serve.keys,
        "create NAME | list | revoke ID",
        is_local=True,
        is_raw=True,
    ),
    Command(
        "create", "make a model from a Modelfile", create.create, "MODEL", 1, 1, create.add_flags
    ),
    Command("show", "show what is known of a model", show.show, "MODEL", 1, 1, show.add_flags),
    Command(
        "run",
        "talk to a model",
        run.run,
        "MODEL [PROMPT ...]",
        1,
        math.inf,
        run.add_flags,
        bare_flags=run.BARE_FLAGS,
    ),
    Command("stop", "unload a model", models.stop_model, "MODEL", 1, 1),
    Command(
        "pull", "fetch a model from a registry", transfer.pull, "MODEL", 1, 1, transfer.add_flags
    ),
    Command("push", "send a model to a registry", transfer.push, "MODEL", 1, 1, transfer.add_flags),
    Command("list", "list models", listing.list_models, "[PREFIX]", 0, math.inf, aliases=("ls",)),
    Command("ps", "list models in memory", listing.list_loaded, "[PREFIX]", 0, math.inf),
    Command("cp", "copy a model", models.copy_model, "SOURCE DESTINATION", 2, 2),
    Command(
        "bench",
        "measure a server, or compare several",
        bench.bench,
        "MODEL [SCENARIO ...]",
        0,
        math.inf,
        bench.add_flags,
    ),
    Command("rm", "delete models", models.remove_models, "MODEL [MODEL ...]", 1, math.inf),
)


def command_named(name: str) -> Command:
    """Raises CliError, with what might have been meant."""
    by_name = {word: command for command in COMMANDS for word in (command.name, *command.aliases)}
    if name in by_name:
        return by_name[name]
    text = f'unknown command "{name}" for "llamawire"'
    if similar := difflib.get_close_matches(name, by_name, 3):
        text += "\n\nDid you mean this?\n" + "".join(f"\t{word}\n" for word in similar)
    raise CliError(text)


def commands_text() -> str:
    """A line a command."""
    return "".join(f"  {command.name:<8} {command.help}\n" for command in COMMANDS)
