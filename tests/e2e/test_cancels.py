"""Callers who leave at any moment take nothing with them and leave nothing behind.

`LLAMAWIRE_CANCELS` says how many; docs/reliability.md has a run with 1,000.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from e2e.daemon import Daemon
from e2e.test_crash import ALPHABET, Reader, request
from e2e.test_lifecycle import settle
from gguf_files import tiny_llama
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

CANCELS = int(os.environ.get("LLAMAWIRE_CANCELS", "120"))
STREAMS = 4
CALLERS = 8
LONG_PROMPT = "abcdefgh " * 60

ENDLESS: dict[str, Any] = {"model": "endless", "prompt": "z"}
SLOW: dict[str, Any] = {"model": "slow", "prompt": LONG_PROMPT}
COLD: dict[str, Any] = {"model": "cold", "prompt": "z", "keep_alive": 0}

PHASES: dict[str, tuple[dict[str, Any], int, float]] = {
    # What is asked, how many messages are read, and up to how long is waited before leaving.
    "on arrival": (ENDLESS, 0, 0.0),
    "queued": (ENDLESS, 0, 0.1),
    "loading": (COLD, 0, 0.3),
    "prefill": (SLOW, 1, 0.05),
    "decode": (ENDLESS, 5, 0.05),
    "slow reader": (ENDLESS, 1, 0.3),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("cancels")
    daemon = Daemon(folder, LLAMAWIRE_NUM_PARALLEL=str(STREAMS), LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    daemon.add_model("cold", tiny_llama(folder / "cold.gguf"))
    slow = tiny_llama(folder / "slow.gguf", embedding=512, heads=8, blocks=3, feed_forward=1408)
    daemon.add_model("slow", slow)
    yield daemon
    assert daemon.stop() == 0


def leave_rest(daemon: Daemon, body: dict[str, Any], messages: int, wait_s: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=60)
    endless = {"raw": True, "options": {"num_predict": -1}}
    connection.request("POST", "/api/generate", json.dumps(endless | body))
    if messages:
        answer = connection.getresponse()
        for _ in range(messages):
            answer.readline()
    time.sleep(wait_s)
    connection.close()


def leave_grpc(daemon: Daemon, body: dict[str, Any], messages: int, wait_s: float) -> None:
    fields = {name: value for name, value in body.items() if name != "keep_alive"}
    asked = generation_pb2.GenerateRequest(raw=True, options=Options(num_predict=-1), **fields)
    if "keep_alive" in body:
        asked.keep_alive.seconds = body["keep_alive"]
    with daemon.generation() as stub:
        call = stub.Generate(asked)
        for _ in range(messages):
            next(call)
        time.sleep(wait_s)
        call.cancel()


@contextlib.contextmanager
def survivor(daemon: Daemon) -> Iterator[None]:
    """A stream that goes on all the while, and is right to its end."""
    left = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        watched = threads.submit(recite_until, daemon, left)
        try:
            yield
        finally:
            left.set()
        assert watched.result(60) > 0


def recite_until(daemon: Daemon, left: threading.Event) -> int:
    """Streams the alphabet again and again; how often it was whole."""
    times = 0
    while not left.is_set():
        with daemon.generation() as stub:
            reader = Reader(stub.Generate(request(2_000)))
            reader.read(2_000)
            reader.read()
        assert reader.text == ALPHABET[:2_000]
        times += 1
    return times


def held(daemon: Daemon) -> tuple[int, int, int]:
    """Descriptors of the daemon, descriptors of the workers with a model, and threads of both.

    The spare worker is left out: it may be anywhere in its start.
    """
    family = [psutil.Process(daemon.process.pid), *daemon.busy_workers()]
    fds = [process.num_fds() for process in family]
    return fds[0], sum(fds[1:]), sum(process.num_threads() for process in family)


def use_each_model(daemon: Daemon) -> None:
    """So that all is opened that stays open."""
    for model in ("cold", "slow", "endless"):
        with concurrent.futures.ThreadPoolExecutor(STREAMS) as threads:
            asked = [
                threads.submit(
                    daemon.generate, model=model, prompt="z", raw=True,
                    options={"num_predict": 1}, keep_alive=0 if model == "cold" else None,
                )
                for _ in range(STREAMS)
            ]  # fmt: skip
        assert [one.result().status for one in asked] == [200] * STREAMS
    assert settle(lambda: len(daemon.busy_workers()) == 2 and len(daemon.workers()) <= 3)


def test_cancels_at_random_moments_leave_nothing(daemon: Daemon) -> None:
    chance = random.Random(1000)
    use_each_model(daemon)
    before = held(daemon)

    def cancel(number: int) -> None:
        body, messages, wait_s = PHASES[chance.choice(list(PHASES))]
        leave = leave_rest if number % 2 else leave_grpc
        leave(daemon, body, messages, chance.uniform(0, wait_s))

    with survivor(daemon), concurrent.futures.ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(cancel, range(CANCELS)))
    use_each_model(daemon)  # every row is free again
    # A connection or a thread of a pool may be new; nothing grows with the number of cancels.
    slack = STREAMS + CALLERS

    def is_as_before() -> bool:
        return all(now <= then + slack for now, then in zip(held(daemon), before, strict=True))

    assert settle(is_as_before), (held(daemon), before)
