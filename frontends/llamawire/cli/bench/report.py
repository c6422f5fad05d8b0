"""Tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.table import Table

from llamawire.cli.bench.clock import TOLERANCE
from llamawire.cli.bench.comparison import Comparison
from llamawire.cli.bench.machine import BUSY_WARNING
from llamawire.cli.bench.scenario import Metric
from llamawire.cli.bench.statistics import Ratio
from llamawire.cli.bench.trial import Trial

__all__ = ["format_ratio", "format_value", "notes", "table"]


def table(trial: Trial, comparisons: Sequence[Comparison]) -> Table:
    """A row a metric: each target's median and range, and the ratios to the first target."""
    made = Table(title=f"{trial.scenario.name}: {trial.scenario.help}", title_justify="left")
    made.add_column("metric")
    for name in trial.values:
        made.add_column(name, justify="right")
    others = list(dict.fromkeys(one.name for one in comparisons))
    first = next(iter(trial.values))
    for name in others:
        made.add_column(f"{first} / {name}", justify="right")
    for metric in trial.scenario.metrics:
        cells = [_cell(metric, values.get(metric.name, [])) for values in trial.values.values()]
        by_name = {one.name: one for one in comparisons if one.metric == metric}
        ratios = [format_ratio(by_name[name].ratio) if name in by_name else "" for name in others]
        made.add_row(f"{metric.name} ({metric.unit})", *cells, *ratios)
    return made


def notes(trial: Trial) -> list[str]:
    """What a reader of the table must know besides."""
    found = [f"{name} cannot: {reason}" for name, reason in trial.failures.items()]
    busy = trial.busy_share
    if busy is not None and busy > BUSY_WARNING:
        found.append(
            f"warning: other work took {busy:.0%} of the CPUs when this began (load average "
            f"{trial.load_average:.1f}); trust the ratios more than the numbers"
        )
    for name, check in trial.clocks.items():
        parts = {"whole answer": check.total, "first to last token": check.generate}
        told = ", ".join(f"{part} {value:+.1%}" for part, value in parts.items() if value)
        if told and not check.agrees:
            found.append(
                f"warning: the client's clock and {name}'s own timings differ by more than "
                f"{TOLERANCE:.0%}: {told} (median of {check.count} answers)"
            )
        elif told:
            found.append(f"{name}'s own timings agree with the client's clock: {told}")
    return found


def format_value(metric: Metric, value: float) -> str:
    digits = 2 if metric.unit == "x" or value < 10 else 1 if value < 1000 else 0
    return f"{value:,.{digits}f}"


def format_ratio(ratio: Ratio) -> str:
    if ratio.low <= 0:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def _cell(metric: Metric, values: Sequence[float]) -> str:
    if not values:
        return "-"
    median = format_value(metric, statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({format_value(metric, min(values))}..{format_value(metric, max(values))})"
