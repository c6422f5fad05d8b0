"""`llamawire bench` against a real daemon, over its three protocols."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from e2e.daemon import Daemon

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
