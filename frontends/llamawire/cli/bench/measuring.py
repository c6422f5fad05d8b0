"""One measurement: targets and scenarios in, tables, files and a verdict out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from llamawire.cli.bench.comparison import (
    Comparison,
    compare,
    compare_with_earlier,
    regressions,
)
from llamawire.cli.bench.report import format_ratio, notes, table
from llamawire.cli.bench.results import read_earlier, results_object
from llamawire.cli.bench.scenario import Sizes
from llamawire.cli.bench.scenarios import SCENARIOS, scenario_named
from llamawire.cli.bench.target import Target
from llamawire.cli.bench.trial import Trial, enter, run_trial
from llamawire.cli.connection import Connection
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = [
    "command_line",
    "judge",
    "measure",
    "print_scenarios",
    "read_sizes",
    "rounds",
    "run",
    "show",
    "table_width",
]

ROUNDS_COMPARED, ROUNDS_ALONE = 9, 3
STREAMS_MAX, ROUNDS_MAX, TOKENS_MAX = 1024, 1000, 100_000
TABLE_COLUMNS = 160


def print_scenarios(terminal: Terminal) -> None:
    terminal.print("".join(f"{one.name:<18}{one.help}\n" for one in SCENARIOS), end="")


async def measure(
    arguments: argparse.Namespace, connection: Connection, terminal: Terminal
) -> None:
    if not arguments.words:
        raise CliError("bench needs a MODEL; --list lists the scenarios")
    model, *names = arguments.words
    scenarios = [scenario_named(name) for name in names] or list(SCENARIOS)
    targets = read_targets(arguments, model, connection)
    earlier = read_earlier(Path(arguments.baseline)) if arguments.baseline else {}
    if arguments.plots:
        from llamawire.cli.bench.plots import check_matplotlib

        check_matplotlib()  # before, not after, minutes of measuring
    contenders = await enter(targets)
    trials: list[Trial] = []
    comparisons: list[Comparison] = []
    try:
        for scenario in scenarios:
            terminal.note(f"{scenario.name}: {scenario.help}")
            trial = await run_trial(
                scenario,
                contenders,
                sizes=read_sizes(arguments),
                rounds=rounds(arguments, len(targets)),
                seed=arguments.seed,
                limit_s=arguments.limit,
            )
            found = [*compare(trial), *compare_with_earlier(trial, earlier)]
            show(trial, found, terminal)
            trials.append(trial)
            comparisons += found
            write(arguments, targets, trials, comparisons)
    finally:
        for contender in contenders:
            await contender.client.close()
    judge(arguments.gate, trials, comparisons)


def read_targets(arguments: argparse.Namespace, model: str, connection: Connection) -> list[Target]:
    given = arguments.target or [f"grpc:{connection.url}"]
    targets = [Target.parse(text, model, connection.credentials) for text in given]
    if len({target.name for target in targets}) < len(targets):
        raise CliError("two targets have the same name; --target NAME=… gives them others")
    if arguments.gate is not None and len(targets) == 1 and not arguments.baseline:
        raise CliError("--gate needs a second --target or a --baseline to compare with")
    return targets


def read_sizes(arguments: argparse.Namespace) -> Sizes:
    for name, most in (("streams", STREAMS_MAX), ("tokens", TOKENS_MAX)):
        if not 1 <= getattr(arguments, name) <= most:
            raise CliError(f"--{name} must be 1 to {most}")
    for name in ("rate", "duration", "limit"):
        if not getattr(arguments, name) > 0:
            raise CliError(f"--{name} must be more than 0")
    return Sizes(arguments.streams, arguments.tokens, arguments.rate, arguments.duration)


def rounds(arguments: argparse.Namespace, targets: int) -> int:
    if arguments.rounds is None:
        return ROUNDS_COMPARED if targets > 1 else ROUNDS_ALONE
    if not 1 <= arguments.rounds <= ROUNDS_MAX:
        raise CliError(f"--rounds must be 1 to {ROUNDS_MAX}")
    return int(arguments.rounds)


def show(trial: Trial, comparisons: Sequence[Comparison], terminal: Terminal) -> None:
    Console(file=terminal.stdout, width=table_width(terminal)).print(table(trial, comparisons))
    for note in notes(trial):
        terminal.print(note)


def table_width(terminal: Terminal) -> int:
    return terminal.columns if terminal.stdout.isatty() else TABLE_COLUMNS


def command_line() -> str:
    """That of this process, as it would be typed."""
    return shlex.join(["llamawire", *sys.argv[1:]])


def write(
    arguments: argparse.Namespace,
    targets: Sequence[Target],
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
) -> None:
    """After each scenario, so that nothing is lost if a later one is interrupted."""
    if arguments.json:
        found = results_object(targets, trials, comparisons, command_line())
        Path(arguments.json).write_text(json.dumps(found) + "\n")
    if arguments.plots:
        from llamawire.cli.bench.plots import draw_plots

        draw_plots(Path(arguments.plots), trials, comparisons)


def judge(gate: float | None, trials: Sequence[Trial], comparisons: Sequence[Comparison]) -> None:
    """CliError if a scenario gave nothing at all, or the gate is not passed."""
    for trial in trials:
        first = next(iter(trial.values))
        if first in trial.failures and gate is not None:
            raise CliError(f"{trial.scenario.name}: {first} cannot: {trial.failures[first]}")
    if gate is None:
        return
    if worse := regressions(list(comparisons), gate):
        lines = [
            f"\n  {one.scenario} {one.metric.name}: {format_ratio(one.goodness)} times as good "
            f"as {one.name}"
            for one in worse
        ]
        raise CliError(f"a regression beyond --gate {gate:g}:{''.join(lines)}")


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a loop that weighs as little as can be: the client shares the machine with the server.
    CliError if a SIGTERM ends it."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(terminable(work))
    else:
        uvloop.run(terminable(work))


async def terminable(work: Coroutine[Any, Any, None]) -> None:
    """SIGTERM cancels the work, so that what it has started ends with it."""
    task = asyncio.create_task(work)
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    if task.cancelled():
        raise CliError("ended by a signal")
    task.result()
