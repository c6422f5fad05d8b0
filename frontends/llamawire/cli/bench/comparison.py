"""Two servers' values of one metric, and what a gate makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llamawire.cli.bench.scenario import Metric
from llamawire.cli.bench.statistics import Ratio, paired_ratio, unpaired_ratio
from llamawire.cli.bench.trial import Trial

__all__ = ["Comparison", "compare", "compare_with_earlier", "regressions"]


@dataclass(frozen=True)
class Comparison:
    """The first target against another one."""

    scenario: str
    metric: Metric
    name: str
    """Of the other."""
    ratio: Ratio
    """First over other, as measured."""

    @property
    def goodness(self) -> Ratio:
        """Above 1: the first is better, whether more or less of the metric is."""
        return self.ratio if self.metric.is_rate else self.ratio.inverted()


def compare(trial: Trial) -> Iterator[Comparison]:
    """The first target against each other one, round by round."""
    first, *others = trial.values
    for metric in trial.scenario.metrics:
        mine = trial.values[first].get(metric.name, [])
        for other in others:
            theirs = trial.values[other].get(metric.name, [])
            if mine and len(mine) == len(theirs):
                ratio = paired_ratio(mine, theirs)
                yield Comparison(trial.scenario.name, metric, other, ratio)


def compare_with_earlier(
    trial: Trial, earlier: dict[str, dict[str, list[float]]]
) -> Iterator[Comparison]:
    """The first target against what it gave at another time: by scenario, then by metric."""
    (first, mine), *_ = trial.values.items()
    for metric in trial.scenario.metrics:
        theirs = earlier.get(trial.scenario.name, {}).get(metric.name, [])
        if mine.get(metric.name) and theirs:
            ratio = unpaired_ratio(mine[metric.name], theirs)
            yield Comparison(trial.scenario.name, metric, f"{first} before", ratio)


def regressions(comparisons: list[Comparison], gate: float) -> list[Comparison]:
    """Those whose whole interval lies below `gate`: worse, and not by chance."""
    return [one for one in comparisons if one.goodness.high < gate]
