"""The servers of the table: started for a row, on ports of their own, and surely ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.daemon import Daemon

__all__ = [
    "PEER",
    "Places",
    "batched_command",
    "batched_step_ms",
    "bench_command",
    "bench_rate",
    "daemon",
    "llama_server",
    "peer_command",
]

ROOT = Path(__file__).parents[3]
PEER = ROOT / "build" / "peer" / "bin"
START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Places:
    """How many requests a server has room for at once, and the tokens of each."""

    streams: int = 8
    context: int = 2048

    @property
    def settings(self) -> dict[str, str]:
        """For our daemon."""
        return {
            "LLAMAWIRE_NUM_PARALLEL": str(self.streams),
            "LLAMAWIRE_CONTEXT_LENGTH": str(self.context),
        }


@contextlib.contextmanager
def daemon(folder: Path, model: Path, places: Places, *settings: str) -> Iterator[Daemon]:
    """`llamawire serve` with the model `m`; `settings` are `NAME=VALUE`."""
    running = Daemon(folder, **places.settings, **dict(each.split("=", 1) for each in settings))
    try:
        running.add_model("m", model)
        yield running
    finally:
        running.stop()


def peer_command(model: str, port: str, places: Places, flags: Sequence[str] = ()) -> list[str]:
    return [
        "llama-server", "-m", model, "-np", str(places.streams),
        "-c", str(places.streams * places.context), "--port", port, *flags,
    ]  # fmt: skip


@contextlib.contextmanager
def llama_server(
    folder: Path, model: Path, places: Places, flags: Sequence[str] = ()
) -> Iterator[int]:
    """llama-server of the pin; gives its port."""
    port = unused_port()
    program, *arguments = peer_command(str(model), str(port), places, flags)
    log = folder / f"llama-server-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([PEER / program, *arguments], stdout=out, stderr=out)
    try:
        wait_healthy(process, port, log)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:  # nobody listens yet, or 503 while it loads
            time.sleep(0.05)
    raise SystemExit(f"llama-server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def batched_command(model: str, tokens: int, places: Places) -> list[str]:
    return [
        "llama-batched-bench", "-m", model, "-c", str(places.streams * 512), "-npp", "20",
        "-ntg", str(tokens), "-npl", str(places.streams), "--output-format", "jsonl",
    ]  # fmt: skip


def batched_step_ms(model: Path, tokens: int, places: Places) -> float:
    """The time of one decode step with all streams, by llama-batched-bench."""
    rows = json_lines(batched_command(str(model), tokens, places))
    return float(rows[-1]["t_tg"]) / tokens * 1000


def bench_command(model: str, tokens: int) -> list[str]:
    return [
        "llama-bench", "-m", model, "-p", "0", "-n", str(tokens), "-ngl", "99", "-o", "jsonl",
    ]  # fmt: skip


def bench_rate(model: Path, tokens: int) -> float:
    """Tokens a second of one stream without a server or sampling, by llama-bench."""
    return float(json_lines(bench_command(str(model), tokens))[-1]["avg_ts"])


def json_lines(command: Sequence[str]) -> list[dict[str, Any]]:
    """What one of llama.cpp's programs prints as JSON, a line each."""
    program, *arguments = command
    done = subprocess.run([PEER / program, *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def unused_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
