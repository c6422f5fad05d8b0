"""What a scenario is made of: its metrics, and the stage it is played on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from llamawire.cli.bench.exchange import Call, Client, Exchange, Request
from llamawire.cli.bench.prompts import Prompts

__all__ = ["Metric", "Scenario", "Sizes", "Stage"]

ANSWER_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Metric:
    """One number of a scenario."""

    name: str
    unit: str
    """tok/s, ms or x (a ratio)."""
    is_rate: bool = False
    """More is better."""


@dataclass(frozen=True)
class Sizes:
    """How large the plays are."""

    streams: int = 8
    """Requests at a time; as many as the server has places."""
    tokens: int = 128
    """Length of an answer."""
    rate: float = 2.0
    """Arrivals a second, of the scenario poisson."""
    duration_s: float = 10.0
    """How long they arrive."""


@dataclass
class Stage:
    """One play: a server, the texts and the sizes, and what was said."""

    client: Client
    prompts: Prompts
    sizes: Sizes
    round_name: str
    """Makes this round's prompts other than those of all other rounds."""
    exchanges: list[Exchange] = field(default_factory=list)

    def prompt(self, tokens: int, *name: object) -> str:
        return self.prompts.text(tokens, self.round_name, *name)

    async def begin(
        self, prompt: str, num_predict: int, *, seed: int = 0, json_schema: str = ""
    ) -> Call:
        return await self.client.begin(
            Request(prompt, num_predict, seed=seed, json_schema=json_schema)
        )

    async def results(self, calls: Sequence[Call]) -> list[Exchange]:
        """The answers of all; kept."""
        gathered = asyncio.gather(*(call.result() for call in calls))
        found = list(await asyncio.wait_for(gathered, ANSWER_TIMEOUT_S))
        self.exchanges.extend(found)
        return found


@dataclass(frozen=True)
class Scenario:
    """A play that ends in a number for each metric."""

    name: str
    help: str
    metrics: tuple[Metric, ...]
    play: Callable[[Stage], Awaitable[dict[str, float]]]
