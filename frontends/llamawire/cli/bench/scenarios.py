"""The plays."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Sequence

from llamawire.cli.bench.exchange import BenchError, Call, Exchange
from llamawire.cli.bench.scenario import Metric, Scenario, Stage
from llamawire.cli.bench.statistics import percentile

__all__ = ["SCENARIOS", "scenario_named"]

SHORT_PROMPT, LONG_PROMPT, COMMON_PROMPT = 20, 1300, 500
"""Tokens. A beginning of 400 words is about 500 tokens."""
DECODERS = 4
UNDER_WAY = 8
"""Messages after which a stream counts as decoding."""
LONG_ANSWER = 700
"""Tokens; longer than any play needs, within a context of 2,048 beside the longest prompt."""
BREATH_S = 0.3
"""For a server to notice that clients have left, before the next play."""
UNLOAD_S = 1.5
"""For a server to end what held the model and to get ready for the next load."""


async def one_stream(stage: Stage) -> dict[str, float]:
    call = await stage.begin(stage.prompt(SHORT_PROMPT), stage.sizes.tokens)
    (exchange,) = await stage.results([call])
    return {"rate": rate([exchange]), "first_token": exchange.first_token_s * 1e3}


async def streams(stage: Stage) -> dict[str, float]:
    found = await stage.results(await begin_streams(stage, stage.sizes.tokens))
    gaps = [gap for exchange in found for gap in exchange.gaps_s()]
    return {
        "rate": rate(found),
        "first_token": statistics.median(one.first_token_s for one in found) * 1e3,
        "gap_p50": gap_ms(gaps, 50),
        "gap_p99": gap_ms(gaps, 99),
    }


async def intrusion(stage: Stage) -> dict[str, float]:
    decoders = [
        await stage.begin(stage.prompt(SHORT_PROMPT, n), LONG_ANSWER, seed=n)
        for n in range(DECODERS)
    ]
    await asyncio.gather(*(call.wait_messages(UNDER_WAY) for call in decoders))
    arrived_s = time.perf_counter()
    long_call = await stage.begin(stage.prompt(LONG_PROMPT, "long"), UNDER_WAY)
    short_call = await stage.begin(stage.prompt(SHORT_PROMPT, "short"), UNDER_WAY)
    long, short = await stage.results([long_call, short_call])
    await leave(decoders)
    others = await stage.results(decoders)
    until_s = max(long.first_at_s, short.first_at_s)
    if any(one.generated_count for one in others):
        raise BenchError("a decoding stream ended before the long prompt had its first token")
    gaps = [gap for one in others for gap in one.gaps_s(arrived_s, until_s)]
    return {
        "worst_gap": max(gaps) * 1e3,
        "long_first_token": long.first_token_s * 1e3,
        "short_first_token": short.first_token_s * 1e3,
    }


async def common_beginning(stage: Stage) -> dict[str, float]:
    beginning = stage.prompt(COMMON_PROMPT, "beginning")
    calls = [
        await stage.begin(f"{beginning} {stage.prompt(SHORT_PROMPT, n)}", 16, seed=n)
        for n in range(stage.sizes.streams)
    ]
    found = await stage.results(calls)
    began_s = min(one.started_s for one in found)
    return {"all_first_tokens": (max(one.first_at_s for one in found) - began_s) * 1e3}


async def schema(stage: Stage) -> dict[str, float]:
    free = await stage.results(await begin_streams(stage, stage.sizes.tokens))
    bound = await stage.results(await begin_streams(stage, stage.sizes.tokens, SCHEMA))
    if not all(one.text.lstrip().startswith("[") for one in bound):
        raise BenchError("the server does not hold an answer to its JSON schema")
    return {
        "rate_free": rate(free),
        "rate_schema": rate(bound),
        "schema_to_free": rate(bound) / rate(free),
    }


async def hang_up(stage: Stage) -> dict[str, float]:
    calls = await begin_streams(stage, LONG_ANSWER)
    await asyncio.gather(*(call.wait_messages(UNDER_WAY) for call in calls))
    waiting = await stage.begin(stage.prompt(SHORT_PROMPT, "waiting"), UNDER_WAY)
    await asyncio.sleep(BREATH_S / 3)
    left_s = time.perf_counter()
    calls[0].hang_up()
    (found,) = await stage.results([waiting])
    await leave(calls[1:])
    others = await stage.results(calls)
    if found.first_at_s < left_s:
        raise BenchError(f"the server has more than {stage.sizes.streams} places (--streams)")
    if any(one.generated_count for one in others):
        raise BenchError("a stream ended by itself before one could hang up")
    return {"first_token": (found.first_at_s - left_s) * 1e3}


async def cold_load(stage: Stage) -> dict[str, float]:
    await stage.client.unload()
    await asyncio.sleep(UNLOAD_S)
    call = await stage.begin(stage.prompt(SHORT_PROMPT), UNDER_WAY)
    (exchange,) = await stage.results([call])
    return {"first_token": exchange.first_token_s * 1e3}


async def poisson(stage: Stage) -> dict[str, float]:
    """Requests of many sizes at random times; every target gets the same ones."""
    draw = random.Random(f"poisson/{stage.round_name}")
    began_s = time.perf_counter()
    due_s = 0.0
    calls: list[Call] = []
    while (due_s := due_s + draw.expovariate(stage.sizes.rate)) < stage.sizes.duration_s:
        prompt = stage.prompt(round(20 * 20 ** draw.random()), len(calls))
        answer = round(stage.sizes.tokens * (0.25 + draw.random()))
        await asyncio.sleep(max(0.0, began_s + due_s - time.perf_counter()))
        calls.append(await stage.begin(prompt, answer, seed=len(calls)))
    if not calls:
        raise BenchError("nobody arrived; --rate times --duration must be well above 1")
    found = await stage.results(calls)
    firsts = [one.first_token_s for one in found]
    gaps = [gap for one in found for gap in one.gaps_s()]
    return {
        "rate": rate(found),
        "first_token_p50": percentile(firsts, 50) * 1e3,
        "first_token_p95": percentile(firsts, 95) * 1e3,
        "gap_p99": gap_ms(gaps, 99),
    }


async def begin_streams(stage: Stage, num_predict: int, json_schema: str = "") -> list[Call]:
    """All streams at once, each with a prompt of its own."""
    kind = "schema" if json_schema else "free"
    return [
        await stage.begin(
            stage.prompt(SHORT_PROMPT, kind, n), num_predict, seed=n, json_schema=json_schema
        )
        for n in range(stage.sizes.streams)
    ]


async def leave(calls: Sequence[Call]) -> None:
    for call in calls:
        call.hang_up()
    await asyncio.sleep(BREATH_S)


def gap_ms(gaps_s: Sequence[float], percent: float) -> float:
    if not gaps_s:
        raise BenchError("each answer came in one message; longer ones (--tokens) have gaps")
    return percentile(gaps_s, percent) * 1e3


def rate(exchanges: Sequence[Exchange]) -> float:
    """Tokens a second of all together, from the first request to the last message; the tokens are
    those that the server counted."""
    if not all(one.generated_count > 0 for one in exchanges):
        raise BenchError("the server does not tell how many tokens an answer has")
    tokens = sum(one.generated_count for one in exchanges)
    began_s = min(one.started_s for one in exchanges)
    return tokens / (max(one.ended_s for one in exchanges) - began_s)


_ITEM = {
    "title": {"type": "string", "minLength": 10, "maxLength": 40},
    "author": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "year": {"type": "integer", "minimum": 1900, "maximum": 2100},
        },
        "required": ["name", "year"],
        "additionalProperties": False,
    },
    "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 2},
    "pages": {"type": "number"},
    "isOpen": {"type": "boolean"},
}
# So many items that no answer is complete before its length is reached.
SCHEMA = json.dumps(
    {
        "type": "array",
        "minItems": 200,
        "items": {
            "type": "object",
            "properties": _ITEM,
            "required": list(_ITEM),
            "additionalProperties": False,
        },
    }
)

_RATE, _FIRST = Metric("rate", "tok/s", is_rate=True), Metric("first_token", "ms")

SCENARIOS = (
    Scenario("one-stream", "one request alone", (_RATE, _FIRST), one_stream),
    Scenario(
        "streams",
        "as many requests at once as the server has places",
        (_RATE, _FIRST, Metric("gap_p50", "ms"), Metric("gap_p99", "ms")),
        streams,
    ),
    Scenario(
        "intrusion",
        f"{DECODERS} streams decode; a prompt of {LONG_PROMPT} tokens arrives, and one of "
        f"{SHORT_PROMPT} behind it",
        (
            Metric("worst_gap", "ms"),
            Metric("long_first_token", "ms"),
            Metric("short_first_token", "ms"),
        ),
        intrusion,
    ),
    Scenario(
        "common-beginning",
        "requests that begin with the same 400 words arrive at once",
        (Metric("all_first_tokens", "ms"),),
        common_beginning,
    ),
    Scenario(
        "schema",
        "answers held to a JSON schema, against free ones",
        (
            Metric("rate_free", "tok/s", is_rate=True),
            Metric("rate_schema", "tok/s", is_rate=True),
            Metric("schema_to_free", "x", is_rate=True),
        ),
        schema,
    ),
    Scenario(
        "hang-up",
        "all places are taken and one request waits; a client hangs up",
        (_FIRST,),
        hang_up,
    ),
    Scenario("cold-load", "the model is not in memory", (_FIRST,), cold_load),
    Scenario(
        "poisson",
        "requests of many sizes arrive at random times (--rate, --duration)",
        (
            _RATE,
            Metric("first_token_p50", "ms"),
            Metric("first_token_p95", "ms"),
            Metric("gap_p99", "ms"),
        ),
        poisson,
    ),
)


def scenario_named(name: str) -> Scenario:
    """BenchError, with the names there are."""
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    raise BenchError(f"there is no scenario {name!r}; there are {names}")
