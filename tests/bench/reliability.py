"""How fast the server answers probes, goes on after a crash, and serves a crowd.

    PYTHONPATH=tests:frontends:pyx:proto python tests/bench/reliability.py

Prints the tables of docs/reliability.md: milliseconds, of one daemon with a random model that is
slow enough for its prefill and its steps to be met (512 wide, 3 blocks).
"""

from __future__ import annotations

import concurrent.futures
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e.daemon import Daemon
from gguf_files import tiny_llama
from llamawire.cli.bench.statistics import percentile
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

STREAMS, WAITING = 4, 8
ROUNDS = 200
LONG_PROMPT = "abcdefgh " * 400
ACCEPTED = 60
COUNT = 40


def ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def row(name: str, times: Sequence[float]) -> str:
    p99 = percentile(times, 99)
    return f"| {name} | {statistics.median(times):.1f} | {p99:.1f} | {max(times):.1f} |"


def request(count: int, prompt: str = "a") -> generation_pb2.GenerateRequest:
    options = Options(num_predict=count, num_ctx=4096, seed=1, temperature=1, top_k=0, top_p=1)
    return generation_pb2.GenerateRequest(model="slow", prompt=prompt, raw=True, options=options)


def generate(daemon: Daemon, count: int, prompt: str = "a") -> int:
    options = {"num_predict": count, "num_ctx": 4096}
    return daemon.generate(model="slow", prompt=prompt, raw=True, options=options).status


def probes(daemon: Daemon) -> list[str]:
    """While prompts of 3,600 tokens are read, one after the other."""
    done = threading.Event()

    def prefill() -> None:
        number = 0
        while not done.is_set():
            number += 1
            generate(daemon, 1, f"{number} {LONG_PROMPT}")

    with concurrent.futures.ThreadPoolExecutor(1) as threads, daemon.channel() as channel:
        reading = threads.submit(prefill)
        health = health_pb2_grpc.HealthStub(channel)
        check = health_pb2.HealthCheckRequest(service="slow")
        rows = [
            row("/healthz", [ms(lambda: daemon.request("GET", "/healthz")) for _ in range(ROUNDS)]),
            row("/readyz?model=slow",
                [ms(lambda: daemon.request("GET", "/readyz?model=slow")) for _ in range(ROUNDS)]),
            row("grpc.health.v1", [ms(lambda: health.Check(check)) for _ in range(ROUNDS)]),
        ]  # fmt: skip
        done.set()
        reading.result()
    return rows


def pauses(daemon: Daemon) -> list[str]:
    """Between the last token before `kill -9` and the next: load, prefill, and what is left."""
    gaps, loads = [], []
    for number in range(10):
        daemon.generate(model="slow", keep_alive=0)
        while daemon.busy_workers():
            time.sleep(0.01)
        prompt = f"{number} {LONG_PROMPT}"
        loads.append(ms(lambda prompt=prompt: generate(daemon, 1, prompt)))  # type: ignore[misc]
        times: list[float] = []
        with daemon.generation() as stub:
            for reply in stub.Generate(request(400, prompt)):
                if not reply.pieces.pieces:
                    continue
                times.append(time.perf_counter())
                if len(times) == 5:
                    daemon.busy_workers()[0].kill()
        gaps.append(max(b - a for a, b in itertools.pairwise(times)) * 1e3)
    return [row("load + prefill of the prompt", loads), row("pause after kill -9", gaps)]


def crowd(daemon: Daemon) -> list[str]:
    """Accepted requests' times with as many callers as places, and with five times as many."""

    def accepted(callers: int) -> list[float]:
        times: list[float] = []

        def call() -> None:
            while len(times) < ACCEPTED:
                started = time.perf_counter()
                if generate(daemon, COUNT) == 200:
                    times.append((time.perf_counter() - started) * 1e3)
                else:
                    time.sleep(0.2)

        with concurrent.futures.ThreadPoolExecutor(callers) as threads:
            for one in [threads.submit(call) for _ in range(callers)]:
                one.result()
        return times

    process = psutil.Process(daemon.process.pid)
    places = STREAMS + WAITING
    rows = [row(f"{places} callers", accepted(places))]
    before = process.memory_info().rss
    rows.append(row(f"{5 * places} callers", accepted(5 * places)))
    grown = (process.memory_info().rss - before) / 2**20
    return [*rows, "", f"The daemon's memory grew by {grown:.1f} MiB meanwhile."]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(
            Path(folder),
            LLAMAWIRE_NUM_PARALLEL=str(STREAMS),
            LLAMAWIRE_MAX_QUEUE=str(WAITING),
            LLAMAWIRE_HEARTBEAT_TIMEOUT="60",
            LLAMAWIRE_READ_AHEAD="16",
        )
        path = Path(folder) / "slow.gguf"
        tiny_llama(path, embedding=512, heads=8, blocks=3, feed_forward=1408, dtype="float16")
        daemon.add_model("slow", path)
        assert generate(daemon, 1) == 200
        tables: dict[str, Callable[[], list[str]]] = {
            "probe, during prefill": lambda: probes(daemon),
            "pause": lambda: pauses(daemon),
            "accepted, by callers": lambda: crowd(daemon),
        }
        for title, rows in tables.items():
            print(f"| {title} | p50 | p99 | worst |\n|---|---|---|---|")
            print("\n".join(rows()), end="\n\n", flush=True)
        daemon.stop()


if __name__ == "__main__":
    main()
