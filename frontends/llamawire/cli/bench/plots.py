"""Pictures: how the gaps between messages are spread, and the ratios with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llamawire.cli.bench.comparison import Comparison
from llamawire.cli.bench.trial import Trial
from llamawire.cli.errors import CliError

__all__ = ["check_matplotlib", "draw_plots"]


def check_matplotlib() -> Any:
    """matplotlib.pyplot, drawing to files. CliError with what to do if it is missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise CliError(
            "--plots needs matplotlib, which is not installed: pip install 'llamawire[bench]'"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_plots(folder: Path, trials: Sequence[Trial], comparisons: Sequence[Comparison]) -> None:
    """Writes `gaps-SCENARIO.png` for each scenario and `ratios.png` if servers were compared."""
    pyplot = check_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        _draw_gaps(pyplot, folder / f"gaps-{trial.scenario.name}.png", trial)
    if comparisons:
        _draw_ratios(pyplot, folder / "ratios.png", comparisons)


def _draw_gaps(pyplot: Any, path: Path, trial: Trial) -> None:
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for name, rounds in trial.exchanges.items():
        gaps = sorted(gap * 1e3 for round_ in rounds for one in round_ for gap in one.gaps_s())
        if gaps:
            axes.plot(gaps, [(n + 1) / len(gaps) for n in range(len(gaps))], label=name)
    axes.set(
        title=f"{trial.scenario.name}: time between two messages of a stream",
        xlabel="milliseconds",
        ylabel="share of messages that came sooner",
        xscale="log",
    )
    if axes.lines:
        axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)


def _draw_ratios(pyplot: Any, path: Path, comparisons: Sequence[Comparison]) -> None:
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.35 * len(comparisons)))
    labels = [f"{one.scenario} {one.metric.name} / {one.name}" for one in comparisons]
    for row, one in enumerate(comparisons):
        good = one.goodness
        axes.plot(
            [good.low or good.value, min(good.high, good.value * 10)], [row, row], color="0.5"
        )
        axes.plot([good.value], [row], "o", color="C2" if good.value >= 1 else "C3")
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xscale="log", xlabel="times better than the other (95 % interval)")
    axes.invert_yaxis()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
