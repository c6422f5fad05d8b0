"""Rounds of a scenario, in which the targets take turns."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from llamawire.cli.bench import machine
from llamawire.cli.bench.clock import ClockCheck, check_clock
from llamawire.cli.bench.exchange import BenchError, Client, Exchange
from llamawire.cli.bench.prompts import Prompts, calibrate
from llamawire.cli.bench.scenario import Scenario, Sizes, Stage
from llamawire.cli.bench.target import Target

__all__ = ["Contender", "Trial", "enter", "run_trial"]

ROUNDS_MIN = 3


@dataclass
class Contender:
    """A target under measurement."""

    target: Target
    client: Client
    prompts: Prompts


@dataclass
class Trial:
    """What one scenario gave."""

    scenario: Scenario
    sizes: Sizes
    values: dict[str, dict[str, list[float]]]
    """By target's name, then by metric's: one value a round. A target that cannot play the
    scenario has none."""
    failures: dict[str, str] = field(default_factory=dict)
    """By target's name: why it cannot."""
    clocks: dict[str, ClockCheck] = field(default_factory=dict)
    exchanges: dict[str, list[list[Exchange]]] = field(default_factory=dict)
    """By target's name, by round."""
    load_average: float = 0.0
    busy_share: float | None = None


async def enter(targets: Sequence[Target]) -> list[Contender]:
    """Connects, loads each model and learns how it cuts words."""
    contenders = []
    for target in targets:
        client = target.client()
        try:
            contenders.append(Contender(target, client, await calibrate(client)))
        except BenchError as error:
            await client.close()
            raise BenchError(f"{target.name}: {error}") from error
    return contenders


async def run_trial(
    scenario: Scenario,
    contenders: Sequence[Contender],
    *,
    sizes: Sizes,
    rounds: int,
    seed: int = 0,
    limit_s: float = math.inf,
) -> Trial:
    """Plays `rounds` rounds; fewer, but not below ROUNDS_MIN, when `limit_s` has passed. Who begins
    a round changes from one to the next. A target that fails is left out from then on; the others
    go on."""
    trial = Trial(scenario, sizes, {one.target.name: {} for one in contenders})
    trial.load_average, trial.busy_share = machine.load_average(), machine.busy_share()
    began_s = time.monotonic()
    for round_ in range(rounds):
        if round_ >= ROUNDS_MIN and time.monotonic() - began_s > limit_s:
            break
        first = round_ % len(contenders)
        for one in [*contenders[first:], *contenders[:first]]:
            name = one.target.name
            if name in trial.failures:
                continue
            stage = Stage(one.client, one.prompts, sizes, f"{seed}/{scenario.name}/{round_}")
            try:
                metrics = await scenario.play(stage)
            except (BenchError, TimeoutError) as error:
                trial.failures[name] = str(error) or "no answer in time"
                trial.values[name] = {}
                continue
            for metric, value in metrics.items():
                trial.values[name].setdefault(metric, []).append(value)
            trial.exchanges.setdefault(name, []).append(stage.exchanges)
    for name, rounds_ in trial.exchanges.items():
        check = check_clock([exchange for round_ in rounds_ for exchange in round_])
        if check is not None:
            trial.clocks[name] = check
    return trial
