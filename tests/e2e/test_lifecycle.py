"""Nothing is left behind: no process, socket, stream or descriptor."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest

from e2e.daemon import Daemon, settle
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

ENDLESS = {"num_predict": 30_000, "num_ctx": 4096}


def stream_some(daemon: Daemon, seed: int) -> int:
    """Reads a whole stream over REST; how many lines it had."""
    answer = daemon.post(
        "/api/generate",
        {"model": "tiny", "prompt": "Tell me a story.", "options": {"seed": seed}},
    )
    assert answer.lines[-1]["done"] is True
    return len(answer.lines)


def hang_up(daemon: Daemon, lines: int) -> None:
    """Begins a long stream over REST and leaves after some lines."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=30)
    body = json.dumps({"model": "endless", "prompt": "x", "raw": True, "options": ENDLESS})
    connection.request("POST", "/api/generate", body)
    if lines:
        answer = connection.getresponse()
        for _ in range(lines):
            answer.readline()
    connection.close()


def cancel_call(daemon: Daemon, replies: int) -> None:
    """The same over gRPC."""
    with daemon.generation() as stub:
        call = stub.Generate(
            generation_pb2.GenerateRequest(
                model="endless", prompt="x", raw=True, options=Options(**ENDLESS)
            )
        )
        for _ in range(replies):
            next(call)
        call.cancel()


def worker_fds(daemon: Daemon) -> int:
    return sum(worker.num_fds() for worker in daemon.busy_workers())


def test_eight_streams_run_at_once(daemon: Daemon) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(
            lines > 3 for lines in threads.map(lambda seed: stream_some(daemon, seed), range(8))
        )


def test_fifty_cancels_at_random_moments_leave_nothing(daemon: Daemon) -> None:
    chance = random.Random(50)
    hang_up(daemon, 1)
    process = psutil.Process(daemon.process.pid)
    before = (process.num_fds(), worker_fds(daemon), len(daemon.workers()))

    def cancel(number: int) -> None:
        leave = hang_up if number % 2 else cancel_call
        leave(daemon, chance.choice([0, 0, 1, 2, 5, 20]))

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(cancel, range(50)))
    # All rows are free again: four requests at once get their first token without a wait.
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(
                lambda _: daemon.generate(model="endless", prompt="hi", options={"num_predict": 1}),
                range(4),
            )
        )
    assert all(answer.status == 200 for answer in answers)
    assert time.monotonic() - started < 10
    assert settle(lambda: process.num_fds() <= before[0] + 2), (process.num_fds(), before)
    assert settle(lambda: worker_fds(daemon) <= before[1] + 2), (worker_fds(daemon), before)
    assert len(daemon.workers()) == before[2]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_daemons_end_ends_its_workers(start_daemon: Callable[..., Daemon], how: str) -> None:
    daemon = start_daemon(LLAMAWIRE_DRAIN_TIMEOUT="0")
    daemon.add_endless_model()
    with daemon.generation() as stub:
        call = stub.Generate(
            generation_pb2.GenerateRequest(
                model="endless", prompt="x", raw=True, options=Options(**ENDLESS)
            )
        )
        next(call)
        assert settle(lambda: len(daemon.workers()) == 2)
        workers = daemon.workers()
        getattr(daemon, how)()
        with pytest.raises(grpc.RpcError):
            list(call)
    assert settle(lambda: not any(worker.is_running() for worker in workers))
    if how == "stop":
        assert not list(Path(daemon.runtime).iterdir())


def test_running_requests_end_before_the_daemon_does(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    daemon.add_endless_model()
    daemon.generate(model="endless", prompt="hi", options={"num_predict": 1})
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with daemon.generation() as stub:
            call = stub.Generate(
                generation_pb2.GenerateRequest(
                    model="endless", prompt="x", raw=True,
                    options=Options(**(ENDLESS | {"num_predict": 5000})),
                )
            )  # fmt: skip
            next(call)
            stopping = threads.submit(daemon.stop)
            replies = list(call)
        assert replies[-1].HasField("finished")
        assert stopping.result(60) == 0


def test_keep_alive_zero_unloads_when_the_answer_is_there(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon()
    daemon.generate(prompt="hi", keep_alive=0)
    assert settle(lambda: daemon.request("GET", "/api/ps").json == {"models": []})
    assert settle(lambda: not daemon.busy_workers())


def test_the_least_keep_alive_makes_room(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_MAX_LOADED_MODELS="1")
    daemon.post("/api/copy", {"source": "tiny", "destination": "other"})
    # A copy shares the weights of what it copied, once those lie in the store.
    daemon.generate(prompt="hi")
    daemon.generate(model="other", prompt="hi")
    names = [m["name"] for m in daemon.request("GET", "/api/ps").json["models"]]
    assert names == ["other:latest"]
