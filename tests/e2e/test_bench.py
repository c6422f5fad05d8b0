"""`llamawire bench` against a real daemon, over its three protocols."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil

from e2e.daemon import Daemon, command_line, settle

SCENARIOS = ("one-stream", "streams", "common-beginning", "poisson")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llamawire.cli", "bench", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_three_protocols_measure_the_same_model(daemon: Daemon, tmp_path: Path) -> None:
    addresses = (f"grpc:127.0.0.1:{daemon.grpc_port}", f"ollama:{daemon.url}",
                 f"openai:{daemon.url}")  # fmt: skip
    targets = [word for address in addresses for word in ("--target", address)]
    file = tmp_path / "out.json"
    done = bench(*targets, "endless", *SCENARIOS, "--rounds=1", "--streams=2", "--tokens=400",
                 "--rate=20", "--duration=0.3", f"--json={file}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cannot" not in done.stdout
    found = json.loads(file.read_text())["scenarios"]
    assert [one["scenario"] for one in found] == list(SCENARIOS)
    for one in found:
        assert set(one["values"]) == {"grpc", "ollama", "openai"}
        assert all(len(rounds) == 1 for rounds in one["values"]["openai"].values())
    for protocol in ("grpc", "ollama", "openai"):
        (streams,) = found[1]["exchanges"][protocol]
        assert [one["generated_count"] for one in streams] == [400, 400]


def test_a_cold_load_is_one_that_was_unloaded(daemon: Daemon) -> None:
    done = bench("--target", f"ollama:{daemon.url}", "endless", "cold-load", "--rounds=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first_token (ms)" in done.stdout


def test_all_layers_play_the_same(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = bench("--layers", "tiny-1m-q8_0", "--rounds=3", "--streams=2", "--tokens=100",
                 "--threads=1", f"--json={file}")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    one, several = json.loads(file.read_text())["scenarios"]
    assert (one["sizes"]["streams"], several["sizes"]["streams"]) == (1, 2)
    for scenario in (one, several):
        assert list(scenario["values"]) == ["loop", "worker", "grpc", "rest"]
        counts = {
            layer: [(each["prompt_count"], each["generated_count"]) for each in rounds[0]]
            for layer, rounds in scenario["exchanges"].items()
        }
        assert set(map(tuple, counts.values())) == {tuple(counts["loop"])}
        assert all(generated == 100 for _, generated in counts["loop"])
        costs = {(cost["layer"], cost["to"]) for cost in scenario["costs"]}
        assert ("worker", "loop") in costs
        assert ("rest", "grpc") in costs


def test_what_the_bench_started_ends_with_it() -> None:
    command = [sys.executable, "-m", "llamawire.cli", "bench", "--layers", "tiny-1m-q8_0",
               "--rounds=1000"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        family = psutil.Process(process.pid)

        def started() -> list[psutil.Process]:
            return family.children(recursive=True)

        assert settle(lambda: any("llamawire.engine" in command_line(one) for one in started()), 60)
        children = started()
        process.terminate()
        assert process.stderr is not None
        assert "ended by a signal" in process.stderr.read()
    assert len(children) >= 4
    assert settle(lambda: not any(one.is_running() for one in children))
