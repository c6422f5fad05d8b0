"""What a layer costs against the one below it, and the table that tells it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.table import Table

from llamawire.cli.bench.report import format_ratio, format_value
from llamawire.cli.bench.results import finite
from llamawire.cli.bench.scenario import Metric
from llamawire.cli.bench.statistics import Ratio, paired_ratio
from llamawire.cli.bench.trial import Trial

__all__ = ["STEP", "LayerCost", "cost_object", "layer_costs", "layers_table"]

STEP = Metric("step", "ms")
"""From one token of a stream to the next, on average and with its share of the first token's time:
what the rate is, as a time."""


@dataclass(frozen=True)
class LayerCost:
    """One metric of a layer beside a lower one."""

    layer: str
    to: str
    """The lower one."""
    metric: Metric
    ratio: Ratio
    """Over the lower one, round by round."""
    difference: float
    """From the lower one, of the medians, in the metric's unit."""


def layer_costs(trial: Trial) -> Iterator[LayerCost]:
    """Of each layer against the one below, and against the lowest. One that failed has none, and
    what stands on it is compared with the next below."""
    layers = [name for name, values in trial.values.items() if values]
    for below, layer in pairwise(layers):
        for to in dict.fromkeys((below, layers[0])):
            for metric in (*trial.scenario.metrics, STEP):
                ours, theirs = (found(trial, name, metric) for name in (layer, to))
                difference = statistics.median(ours) - statistics.median(theirs)
                yield LayerCost(layer, to, metric, paired_ratio(ours, theirs), difference)


def found(trial: Trial, layer: str, metric: Metric) -> Sequence[float]:
    """A value a round."""
    values = trial.values[layer]
    if metric == STEP:
        return [1000 * trial.sizes.streams / rate for rate in values["rate"]]
    return values[metric.name]


def layers_table(trial: Trial, costs: Sequence[LayerCost]) -> Table:
    """A row a layer, the lowest first: its medians, and its costs."""
    made = Table(title=trial.scenario.help, title_justify="left")
    made.add_column("layer")
    for metric in trial.scenario.metrics:
        made.add_column(f"{metric.name} ({metric.unit})", justify="right")
    lowest = next(iter(trial.values))
    for title in (f"rate / {lowest}", "rate / below", "step - below (ms)", "first - below (ms)"):
        made.add_column(title, justify="right")
    for layer, values in trial.values.items():
        cells = [
            format_value(metric, statistics.median(values[metric.name])) if values else "-"
            for metric in trial.scenario.metrics
        ]
        made.add_row(layer, *cells, *cost_cells([cost for cost in costs if cost.layer == layer]))
    return made


def cost_cells(own: Sequence[LayerCost]) -> list[str]:
    """Those of one layer: the first of a metric is against the one below, the last against the
    lowest."""
    if not own:
        return [""] * 4
    rates = [cost for cost in own if cost.metric.name == "rate"]
    (step, *_), (first, *_) = (
        [cost for cost in own if cost.metric.name == name] for name in ("step", "first_token")
    )
    return [
        f"{rates[-1].ratio.value:.2f}",
        format_ratio(rates[0].ratio),
        f"{step.difference:+.3f}",
        f"{first.difference:+.2f}",
    ]


def cost_object(cost: LayerCost) -> dict[str, Any]:
    """For the JSON file."""
    ratio = {"value": cost.ratio.value, "low": cost.ratio.low, "high": cost.ratio.high}
    return {
        "layer": cost.layer,
        "to": cost.to,
        "metric": cost.metric.name,
        "unit": cost.metric.unit,
        "ratio": finite(ratio),
        "difference": cost.difference,
    }
