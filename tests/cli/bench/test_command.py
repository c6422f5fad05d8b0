"""`llamawire bench` against fake servers: tables, files, and the gate's exit code."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cli.conftest import Cli
from cli.fake_server import FakeServer, finished, pieces, started
from llamawire.cli.bench.comparison import compare, regressions
from llamawire.cli.bench.scenario import Sizes
from llamawire.cli.bench.scenarios import scenario_named
from llamawire.cli.bench.trial import Trial


@pytest.fixture
def answering(server: FakeServer) -> FakeServer:
    server.answer = [
        started(), pieces("a"), pieces("b"), finished(prompt_count=120, generated_count=2),
    ]  # fmt: skip
    return server


@pytest.mark.usefixtures("answering")
def test_a_server_alone_gets_a_table_and_a_file(cli: Cli) -> None:
    result = cli("bench", "tiny", "one-stream", "--rounds", "2", "--json", "out.json")
    assert result.code == 0, result.err
    assert "rate (tok/s)" in result.out
    (scenario,) = json.loads(Path("out.json").read_text())["scenarios"]
    assert scenario["scenario"] == "one-stream"
    assert len(scenario["values"]["grpc"]["rate"]) == 2
    first, *_ = scenario["exchanges"]["grpc"]
    assert first[0]["generated_count"] == 2
    assert len(first[0]["message_ms"]) == 2


@pytest.mark.usefixtures("answering")
def test_two_servers_take_turns_and_get_a_ratio(cli: Cli) -> None:
    address = os.environ["LLAMAWIRE_GRPC"]
    targets = [f"--target=a=grpc:{address}", f"--target=b=grpc:{address}#other"]
    result = cli("bench", *targets, "tiny", "one-stream", "--rounds=3", "--json=out.json")
    assert result.code == 0, result.err
    assert "a / b" in result.out
    found = json.loads(Path("out.json").read_text())
    assert [target["model"] for target in found["targets"]] == ["tiny", "other"]
    assert {one["metric"] for one in found["scenarios"][0]["ratios"]} == {"rate", "first_token"}


def test_the_same_play_asks_every_server_the_same(cli: Cli, answering: FakeServer) -> None:
    address = os.environ["LLAMAWIRE_GRPC"]
    targets = [f"--target=a=grpc:{address}", f"--target=b=grpc:{address}#other"]
    assert cli("bench", *targets, "tiny", "streams", "--rounds=2", "--streams=3").code == 0
    prompts: dict[str, list[str]] = {"tiny": [], "other": []}
    for request in answering.requests[2:]:
        prompts[request.model].append(request.prompt)
    assert sorted(prompts["tiny"]) == sorted(prompts["other"])
    assert len(set(prompts["tiny"])) == 6


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(("factor", "code"), [(0.001, 0), (1000.0, 1)])
def test_the_gate_fails_on_a_regression_only(cli: Cli, factor: float, code: int) -> None:
    assert cli("bench", "tiny", "one-stream", "--json=before.json").code == 0
    before = json.loads(Path("before.json").read_text())
    values = before["scenarios"][0]["values"]["grpc"]
    values["rate"] = [value * factor for value in values["rate"]]
    del values["first_token"]
    Path("before.json").write_text(json.dumps(before))
    result = cli("bench", "tiny", "one-stream", "--baseline=before.json", "--gate=0.9")
    assert result.code == code
    assert ("a regression beyond --gate 0.9" in result.err) == (code == 1)
    assert ("one-stream rate" in result.err) == (code == 1)


def trial(ours: list[float], theirs: list[float], metric: str) -> Trial:
    values = {"a": {metric: ours}, "b": {metric: theirs}}
    return Trial(scenario_named("one-stream"), Sizes(), values)


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "is_worse"),
    [
        ("rate", [50, 51, 52], [100, 101, 99], True),
        ("rate", [100, 101, 99], [50, 51, 52], False),
        ("first_token", [100, 101, 99], [50, 51, 52], True),
        ("first_token", [50, 51, 52], [100, 101, 99], False),
        ("rate", [50, 400, 20], [100, 101, 99], False),
    ],
    ids=["slower", "faster", "later", "sooner", "perhaps slower, but not for certain"],
)
def test_a_regression_is_what_is_worse_beyond_chance(
    metric: str, ours: list[float], theirs: list[float], is_worse: bool
) -> None:
    found = list(compare(trial(ours, theirs, metric)))
    assert bool(regressions(found, 0.95)) == is_worse


def test_what_a_server_cannot_is_said_and_the_others_go_on(cli: Cli, server: FakeServer) -> None:
    server.answer = [started(), pieces("a"), finished(prompt_count=120)]
    result = cli("bench", "tiny", "one-stream", "--rounds=1")
    assert result.code == 0
    assert "grpc cannot: the server does not tell how many tokens an answer has" in result.out


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tiny", "marathon"], "there is no scenario 'marathon'; there are one-stream"),
        (["--target=http://x", "tiny"], "is no target"),
        (["--target=ollama:127.0.0.1:1", "tiny"], "is an http:// URL"),
        (["--target=grpc::1", "--target=grpc::2", "tiny"], "have the same name"),
        (["tiny", "--gate=0.9"], "--gate needs a second --target or a --baseline"),
        (["tiny", "--rounds=0"], "--rounds must be 1 to 1000"),
        (["tiny", "--streams=5000"], "--streams must be 1 to 1024"),
        (["tiny", "--rate=0"], "--rate must be more than 0"),
        ([], "bench needs a MODEL"),
        (["tiny", "--baseline=nope.json"], "nope.json is no file that"),
        (["--make-model=7b", "x.gguf"], "there is no shape '7b'; --make-model takes one of tiny"),
        (["--make-model=tiny-1m-q8_0"], "needs the name of the file to write"),
    ],
)
def test_what_cannot_be_measured_is_refused(cli: Cli, arguments: list[str], text: str) -> None:
    result = cli("bench", *arguments)
    assert result.code == 1
    assert text in result.err


@pytest.mark.usefixtures("answering")
def test_plots_without_matplotlib_say_what_to_install(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = cli("bench", "tiny", "one-stream", "--plots=p")
    assert result.code == 1
    assert "pip install 'llamawire[bench]'" in result.err


@pytest.mark.usefixtures("answering")
def test_plots_are_png_files(cli: Cli) -> None:
    result = cli("bench", "tiny", "one-stream", "--rounds=1", "--plots=p")
    assert result.code == 0, result.err
    assert Path("p/gaps-one-stream.png").read_bytes().startswith(b"\x89PNG")


def test_the_scenarios_are_listed(cli: Cli) -> None:
    result = cli("bench", "--list")
    assert "common-beginning" in result.out
