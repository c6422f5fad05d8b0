"""`llamawire bench --layers`: costs, the table, and what is refused."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.conftest import Cli
from llamawire.cli.bench.exchange import BenchError
from llamawire.cli.bench.layer_costs import layer_costs, layers_table
from llamawire.cli.bench.player import player, read_told
from llamawire.cli.bench.scenario import Sizes
from llamawire.cli.bench.scenarios import scenario_named
from llamawire.cli.bench.trial import Trial

TOLD = {
    "id": 1, "started_s": 10.0, "ended_s": 12.0, "messages": [[11.0, "a"], [12.0, "b"]],
    "prompt_count": 7, "generated_count": 2, "prompt_s": 0.5, "generate_s": 1.0,
}  # fmt: skip


def values(rate: float, first_token: float) -> dict[str, list[float]]:
    names = {"rate": rate, "first_token": first_token, "gap_p50": 3.0, "gap_p99": 4.0}
    return {name: [value, value, value] for name, value in names.items()}


def trial(**layers: dict[str, list[float]]) -> Trial:
    return Trial(scenario_named("streams"), Sizes(streams=2), layers)


def test_each_layer_is_compared_with_the_one_below_and_the_lowest() -> None:
    measured = trial(loop=values(1000, 2), worker=values(800, 5), rest=values(400, 6))
    found = {(one.layer, one.to, one.metric.name): one for one in layer_costs(measured)}
    assert {key[:2] for key in found} == {("worker", "loop"), ("rest", "worker"), ("rest", "loop")}
    assert found["rest", "worker", "rate"].ratio.value == pytest.approx(0.5)
    assert found["rest", "loop", "rate"].ratio.value == pytest.approx(0.4)
    assert found["worker", "loop", "first_token"].difference == pytest.approx(3.0)
    # Two streams at 1000 and 800 tokens a second: 2 and 2.5 ms from token to token.
    assert found["worker", "loop", "step"].difference == pytest.approx(0.5)


def test_a_layer_that_failed_is_left_out() -> None:
    measured = trial(loop=values(1000, 2), worker={}, grpc=values(500, 5))
    costs = list(layer_costs(measured))
    assert {(one.layer, one.to) for one in costs} == {("grpc", "loop")}
    output = io.StringIO()
    Console(file=output, width=160).print(layers_table(measured, costs))
    rows = {line.split()[1]: line for line in output.getvalue().splitlines() if "│" in line}
    assert "0.50" in rows["grpc"]
    assert "+2.000" in rows["grpc"]
    assert "-" in rows["worker"]


def test_what_a_player_tells_is_an_exchange() -> None:
    exchange = read_told(TOLD)
    assert exchange.text == "ab"
    assert (exchange.first_token_s, exchange.gaps_s()) == (1.0, [1.0])
    assert (exchange.prompt_count, exchange.generated_count) == (7, 2)
    with pytest.raises(BenchError, match="no memory"):
        read_told({"id": 1, "error": "no memory"})


async def test_a_player_that_does_not_start_says_why() -> None:
    with pytest.raises(BenchError, match="invalid choice: 'cellar'"):
        async with player(["cellar", "m.gguf"]):
            pass


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--layers needs a GGUF file or the name of a shape"),
        (["tiny-1m-q8_0", "streams"], "--layers needs a GGUF file or the name of a shape"),
        (["7b"], "'7b' is neither a file nor a shape; the shapes are tiny-1m-q8_0"),
        (["tiny-1m-q8_0", "--rounds=2"], "--layers needs --rounds of at least 3"),
        (["tiny-1m-q8_0", "--threads=-1"], "--threads must be 0 to"),
        (["tiny-1m-q8_0", "--tokens=0"], "--tokens must be 1 to"),
    ],
)
def test_what_has_no_layers_is_refused(cli: Cli, arguments: list[str], text: str) -> None:
    result = cli("bench", "--layers", *arguments)
    assert result.code == 1
    assert text in result.err
