"""Results as a JSON file: every value of every round and, of each message, its time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamawire.cli.bench import machine
from llamawire.cli.bench.comparison import Comparison
from llamawire.cli.bench.exchange import Exchange
from llamawire.cli.bench.target import Target
from llamawire.cli.bench.trial import Trial
from llamawire.cli.errors import CliError

__all__ = ["finite", "read_earlier", "results_object"]

VERSION = 1


def results_object(
    targets: Sequence[Target],
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
    command: str,
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "command": command,
        "machine": machine.describe(),
        "targets": [asdict(target) for target in targets],
        "scenarios": [_trial_object(trial, comparisons) for trial in trials],
    }


def _trial_object(trial: Trial, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "scenario": trial.scenario.name,
        "sizes": asdict(trial.sizes),
        "load_average": round(trial.load_average, 2),
        "busy_share": trial.busy_share,
        "units": {metric.name: metric.unit for metric in trial.scenario.metrics},
        "values": trial.values,
        "medians": {
            name: {metric: statistics.median(found) for metric, found in values.items()}
            for name, values in trial.values.items()
        },
        "ratios": [
            {"metric": one.metric.name, "to": one.name, **finite(asdict(one.ratio))}
            for one in comparisons
            if one.scenario == trial.scenario.name
        ],
        "failures": trial.failures,
        "clocks": {name: asdict(check) for name, check in trial.clocks.items()},
        "exchanges": {
            name: [[_exchange_object(one) for one in round_] for round_ in rounds]
            for name, rounds in trial.exchanges.items()
        },
    }


def _exchange_object(exchange: Exchange) -> dict[str, Any]:
    """Times are milliseconds from the request."""
    return {
        "duration_ms": _ms(exchange.duration_s),
        "prompt_count": exchange.prompt_count,
        "generated_count": exchange.generated_count,
        "message_ms": [_ms(one.at_s - exchange.started_s) for one in exchange.messages],
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no infinity."""
    return {key: value if value < float("inf") else None for key, value in values.items()}


def read_earlier(path: Path) -> dict[str, dict[str, list[float]]]:
    """The first target's values in a file of ours: by scenario, then by metric. CliError if it is
    none."""
    try:
        found = json.loads(path.read_text())
        if found["version"] != VERSION:
            raise CliError(f"{path} was written by another version of this command")
        first = found["targets"][0]["name"]
        return {one["scenario"]: one["values"][first] for one in found["scenarios"]}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CliError(f"{path} is no file that 'llamawire bench --json' wrote: {error}") from error
