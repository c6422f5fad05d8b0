"""One model behind each layer of llamawire, and what each costs against the one below.

loop     native.Loop, driven directly in a process of its own
worker   a worker process, over its session
grpc     a daemon, over gRPC
rest     the same daemon, over REST

Every layer has the same file, places and lengths, and they take turns within each round. The last
two are neighbours: REST calls the same servicer as gRPC does, with no gRPC between.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from llamawire.cli.bench.exchange import Client
from llamawire.cli.bench.layer_costs import LayerCost, cost_object, layer_costs, layers_table
from llamawire.cli.bench.measuring import command_line, read_sizes, rounds, table_width
from llamawire.cli.bench.model_file import write_model
from llamawire.cli.bench.own_daemon import MODEL, own_daemon
from llamawire.cli.bench.player import player
from llamawire.cli.bench.prompts import calibrate
from llamawire.cli.bench.report import notes
from llamawire.cli.bench.results import results_object
from llamawire.cli.bench.scenario import Scenario, Sizes
from llamawire.cli.bench.scenarios import scenario_named
from llamawire.cli.bench.shapes import SHAPES, shape_named
from llamawire.cli.bench.target import Target
from llamawire.cli.bench.trial import ROUNDS_MIN, Contender, Trial, run_trial
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = ["measure_layers", "model_file"]

CONTEXT_MIN, PROMPT_ROOM = 2048, 512
"""Tokens of a place, and what of them is for the prompt."""
THREADS_MAX = 1024


async def measure_layers(arguments: argparse.Namespace, terminal: Terminal) -> None:
    """Plays one stream, then as many as asked for. CliError for what cannot be measured."""
    if len(arguments.words) != 1:
        raise CliError("--layers needs a GGUF file or the name of a shape, and nothing else")
    sizes = read_sizes(arguments)
    number = rounds(arguments, targets=2)
    if not 0 <= arguments.threads <= THREADS_MAX:
        raise CliError(f"--threads must be 0 to {THREADS_MAX}")
    if number < ROUNDS_MIN:
        raise CliError(f"--layers needs --rounds of at least {ROUNDS_MIN}")
    found: list[tuple[Trial, list[LayerCost]]] = []
    with model_file(arguments.words[0], arguments.seed) as file:
        async with enter_layers(file, sizes, arguments.threads) as contenders:
            targets = [one.target for one in contenders]
            for streams in sorted({1, sizes.streams}):
                trial = await run_trial(
                    scenario_of(streams),
                    contenders,
                    sizes=replace(sizes, streams=streams),
                    rounds=number,
                    seed=arguments.seed,
                    limit_s=arguments.limit,
                )
                found.append((trial, list(layer_costs(trial))))
                show(*found[-1], terminal)
                write(arguments.json, targets, found)
    for trial, _ in found:
        for name, reason in trial.failures.items():
            raise CliError(f"{trial.scenario.name}: {name} failed: {reason}")


def scenario_of(streams: int) -> Scenario:
    """`streams` with a name of its own, since it is played twice."""
    text = "one stream" if streams == 1 else f"{streams} streams at once"
    return replace(scenario_named("streams"), name=f"streams-{streams}", help=text)


@contextlib.contextmanager
def model_file(word: str, seed: int) -> Iterator[Path]:
    """The GGUF file of this path, or one of this shape, made for the block."""
    path = Path(word)
    if path.is_file():
        yield path
        return
    if word not in {shape.name for shape in SHAPES}:
        names = ", ".join(shape.name for shape in SHAPES)
        raise CliError(f"{word!r} is neither a file nor a shape; the shapes are {names}")
    with tempfile.TemporaryDirectory(prefix="llamawire-bench-") as folder:
        made = Path(folder) / f"{word}.gguf"
        write_model(made, shape_named(word), seed)
        yield made


@contextlib.asynccontextmanager
async def enter_layers(file: Path, sizes: Sizes, threads: int) -> AsyncIterator[list[Contender]]:
    """All four, with the model loaded; the lowest first."""
    context = max(CONTEXT_MIN, sizes.tokens + PROMPT_ROOM)
    places = [f"--streams={sizes.streams}", f"--context={context}", f"--threads={threads}"]
    settings = {
        "LLAMAWIRE_NUM_PARALLEL": str(sizes.streams),
        "LLAMAWIRE_CONTEXT_LENGTH": str(context),
    }
    async with contextlib.AsyncExitStack() as stack:
        contenders = []
        for layer in ("loop", "worker"):
            client = await stack.enter_async_context(player([layer, str(file), *places]))
            contenders.append(await contender(Target(layer, "pipe", layer, file.name), client))
        daemon = await stack.enter_async_context(own_daemon(file, settings, num_thread=threads))
        for target in (
            Target("grpc", "grpc", daemon.grpc_address, MODEL),
            Target("rest", "ollama", daemon.rest_url, MODEL),
        ):
            over_wire = target.client()
            stack.push_async_callback(over_wire.close)
            contenders.append(await contender(target, over_wire))
        yield contenders


async def contender(target: Target, client: Client) -> Contender:
    return Contender(target, client, await calibrate(client))


def show(trial: Trial, costs: Sequence[LayerCost], terminal: Terminal) -> None:
    Console(file=terminal.stdout, width=table_width(terminal)).print(layers_table(trial, costs))
    for note in notes(trial):
        terminal.print(note)


def write(
    path: str | None, targets: Sequence[Target], found: Sequence[tuple[Trial, list[LayerCost]]]
) -> None:
    if path:
        result = results_object(targets, [trial for trial, _ in found], [], command_line())
        scenarios: list[dict[str, Any]] = result["scenarios"]
        for scenario, (_, costs) in zip(scenarios, found, strict=True):
            scenario["costs"] = [cost_object(cost) for cost in costs]
        Path(path).write_text(json.dumps(result) + "\n")
