"""The servers of the table: started for a row, on ports of their own, and surely ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from e2e.daemon import Daemon

__all__ = ["OURS", "PEER", "batched_step_ms", "daemon", "llama_server", "peer_command"]

ROOT = Path(__file__).parents[3]
PEER = ROOT / "build" / "peer" / "bin"
STREAMS, CONTEXT = 8, 2048
OURS = {"LLAMAWIRE_NUM_PARALLEL": str(STREAMS), "LLAMAWIRE_CONTEXT_LENGTH": str(CONTEXT)}
START_TIMEOUT_S = 60.0


@contextlib.contextmanager
def daemon(folder: Path, model: Path, *settings: str) -> Iterator[Daemon]:
    """`llamawire serve` with the model `m`; `settings` are `NAME=VALUE`."""
    running = Daemon(folder, **OURS, **dict(each.split("=", 1) for each in settings))
    try:
        running.add_model("m", model)
        yield running
    finally:
        running.stop()


def peer_command(model: str, port: str, flags: Sequence[str] = ()) -> list[str]:
    return [
        "llama-server", "-m", model, "-np", str(STREAMS), "-c", str(STREAMS * CONTEXT),
        "--port", port, *flags,
    ]  # fmt: skip


@contextlib.contextmanager
def llama_server(folder: Path, model: Path, flags: Sequence[str] = ()) -> Iterator[int]:
    """llama-server of the pin; gives its port."""
    port = unused_port()
    program, *arguments = peer_command(str(model), str(port), flags)
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


def batched_command(model: str, tokens: int) -> list[str]:
    return [
        "llama-batched-bench", "-m", model, "-c", str(STREAMS * 512), "-npp", "20",
        "-ntg", str(tokens), "-npl", str(STREAMS), "--output-format", "jsonl",
    ]  # fmt: skip


def batched_step_ms(model: Path, tokens: int) -> float:
    """The time of one decode step with all streams, by llama-batched-bench."""
    program, *arguments = batched_command(str(model), tokens)
    done = subprocess.run([PEER / program, *arguments], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return float(rows[-1]["t_tg"]) / tokens * 1000


def unused_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
