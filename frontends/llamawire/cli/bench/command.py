"""`bench`: its flags, and which of its works is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = ["add_flags", "bench"]

TARGET_HELP = (
    "a server: [NAME=]PROTOCOL:ADDRESS[#MODEL], e.g. grpc:127.0.0.1:11435, "
    "ollama:http://127.0.0.1:11434 or peer=openai:http://127.0.0.1:8080; may be repeated"
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    add, switch = parser.add_argument, "store_true"
    add("--target", action="append", metavar="TARGET", help=TARGET_HELP)
    add("--list", action=switch, help="list the scenarios")
    add("--rounds", type=int, metavar="N", help="of each scenario (9 to compare, else 3)")
    add(
        "--limit",
        type=float,
        default=600.0,
        metavar="S",
        help="seconds for a scenario, after which it ends with fewer rounds (600)",
    )
    add("--streams", type=int, default=8, metavar="N", help="the server's places (8)")
    add("--tokens", type=int, default=128, metavar="N", help="length of an answer (128)")
    add("--rate", type=float, default=2.0, metavar="R", help="poisson: arrivals a second (2)")
    add("--duration", type=float, default=10.0, metavar="S", help="poisson: seconds (10)")
    add("--seed", type=int, default=0, metavar="N", help="of prompts and draws (0)")
    add("--json", metavar="FILE", help="write all values, and the time of each message")
    add("--plots", metavar="FOLDER", help="write PNG files (needs matplotlib)")
    add(
        "--gate",
        type=float,
        metavar="RATIO",
        help="fail where the first target is surely less than RATIO times as good as another",
    )
    add("--baseline", metavar="FILE", help="compare with an earlier --json of the first target")
    add(
        "--layers",
        action=switch,
        help="what each layer of llamawire costs: loop, worker, gRPC, REST; MODEL is then a GGUF "
        "file, or a shape of --make-model",
    )
    add("--threads", type=int, default=0, metavar="N", help="--layers: of a loop (0: it finds out)")
    add("--make-model", metavar="SHAPE", help="only write a random model to the file MODEL")


def bench(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """Raises CliError for what cannot be measured, and for a regression."""
    # What measures takes long to import, and other commands do without.
    from llamawire.cli.bench import measuring
    from llamawire.cli.bench.exchange import BenchError

    if arguments.list:
        measuring.print_scenarios(terminal)
    elif arguments.make_model:
        make_model(arguments)
    else:
        try:
            measuring.run(work_of(arguments, client, terminal))
        except BenchError as error:
            raise CliError(str(error)) from error


def work_of(
    arguments: argparse.Namespace, client: Client, terminal: Terminal
) -> Coroutine[Any, Any, None]:
    """What is asked for of what measures."""
    from llamawire.cli.bench import layers, measuring

    if arguments.layers:
        return layers.measure_layers(arguments, terminal)
    return measuring.measure(arguments, client.connection, terminal)


def make_model(arguments: argparse.Namespace) -> None:
    from llamawire.cli.bench.model_file import write_model
    from llamawire.cli.bench.shapes import shape_named

    shape = shape_named(arguments.make_model)
    if len(arguments.words) != 1:
        raise CliError("--make-model needs the name of the file to write, and nothing else")
    write_model(Path(arguments.words[0]), shape, arguments.seed)
