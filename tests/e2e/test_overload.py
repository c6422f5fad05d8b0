"""More than the server can take: refused at once, in words, and no harm to who was let in."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from e2e.daemon import Answer, Daemon
from e2e.test_crash import ALPHABET, request
from e2e.test_lifecycle import ENDLESS, settle

STREAMS, WAITING = 2, 3
PLACES = STREAMS + WAITING
COUNT = 200


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With room for few requests, and `endless`."""
    daemon = Daemon(
        tmp_path_factory.mktemp("overload"),
        LLAMAWIRE_NUM_PARALLEL=str(STREAMS),
        LLAMAWIRE_MAX_QUEUE=str(WAITING),
        LLAMAWIRE_HEARTBEAT_TIMEOUT="0",
    )
    daemon.add_endless_model()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="module")
def worker(small: Daemon) -> psutil.Process:
    """The one of `endless`."""
    recite(small, 1)
    (only,) = small.busy_workers()
    return only


def recite(daemon: Daemon, count: int = COUNT) -> Answer:
    options = {"num_predict": count}
    return daemon.generate(model="endless", prompt="z", raw=True, options=options)


@contextlib.contextmanager
def full(daemon: Daemon, worker: psutil.Process, more: int) -> Iterator[list[Answer]]:
    """The worker stands still, and every place is taken. Gives the refusals of `more` requests
    beyond; in the end the worker goes on, and those with a place have their answers."""
    worker.suspend()
    try:
        with concurrent.futures.ThreadPoolExecutor(PLACES + more) as threads:
            try:
                asked = [threads.submit(recite, daemon) for _ in range(PLACES + more)]
                ended = concurrent.futures.as_completed(asked, timeout=60)
                refused = [next(ended).result() for _ in range(more)]
                yield refused
            finally:
                worker.resume()
            served = [one.result() for one in ended]
    finally:
        worker.resume()
    assert [answer.status for answer in served] == [200] * PLACES
    assert all(answer.json["response"] == ALPHABET[:COUNT] for answer in served)


def test_who_finds_no_place_is_told_and_who_has_one_keeps_it(
    small: Daemon, worker: psutil.Process
) -> None:
    with full(small, worker, more=4 * PLACES) as refused:  # five times what fits
        for answer in refused:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "busy" in answer.json["error"]
        with small.generation() as stub, pytest.raises(grpc.RpcError) as error:
            list(stub.Generate(request(1)))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in details(error.value))
    assert retry.retry_delay.ToSeconds() >= 1


def test_another_model_is_served_while_one_is_full(small: Daemon, worker: psutil.Process) -> None:
    with full(small, worker, more=1):
        assert small.generate(prompt="hi", options={"num_predict": 1}).status == 200


def test_probes_are_answered_while_all_is_full(small: Daemon, worker: psutil.Process) -> None:
    with full(small, worker, more=1), small.channel() as channel:
        assert small.request("GET", "/healthz").status == 200
        assert small.request("GET", "/readyz").status == 200
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="endless")
        assert health.Check(request).status == health_pb2.HealthCheckResponse.SERVING


def test_a_reader_who_does_not_read_pauses_its_own_row_only(
    small: Daemon, worker: psutil.Process
) -> None:
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", small.rest_port))
        body = {"model": "endless", "prompt": "z", "raw": True, "options": {"num_predict": -1}}
        data = json.dumps(body)
        head = (
            f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        reader.sendall((head + data).encode())
        assert reader.recv(1, socket.MSG_PEEK)
        assert is_at_rest(worker)  # what fits between is full
        assert recite(small).json["response"] == ALPHABET[:COUNT]
        text = read_answer(reader, 200_000)
    assert text == ALPHABET[: len(text)]


def read_answer(reader: socket.socket, count: int) -> str:
    """What the lines among the next bytes of a stream say."""
    received = b""
    while len(received) < count:
        received += reader.recv(65536)
    lines = [line for line in received.splitlines() if line.startswith(b"{")]
    return "".join(json.loads(line)["response"] for line in lines[:-1])


def details(error: grpc.RpcError) -> list[Any]:
    status = rpc_status.from_call(error)
    assert status is not None
    return list(status.details)


def is_at_rest(process: psutil.Process) -> bool:
    """Whether it comes to use hardly any of a processor; an idle loop beats twice a second."""

    def rests() -> bool:
        before, started = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(0.2)
        return sum(process.cpu_times()[:2]) - before < 0.2 * (time.monotonic() - started)

    return settle(rests, 30)


def test_a_drain_ends_what_does_not_end_itself(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_DRAIN_TIMEOUT="1", LLAMAWIRE_READ_AHEAD="16")
    daemon.add_endless_model()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=60)
    body = {"model": "endless", "prompt": "z", "raw": True, "options": ENDLESS}
    with daemon.generation() as stub:
        stream = stub.Generate(request())
        next(stream)
        connection.request("POST", "/api/generate", json.dumps(body))
        answer = connection.getresponse()
        answer.readline()
        # It reads all the time: last words do not wait long for who does not.
        with concurrent.futures.ThreadPoolExecutor(1) as reader:
            rest = reader.submit(answer.read)
            daemon.process.terminate()
            assert settle(lambda: daemon.request("GET", "/readyz").status == 503)
            refused = daemon.generate(prompt="hi")
            with pytest.raises(grpc.RpcError) as ended:
                list(stream)
            last_line = rest.result(60).splitlines()[-1]
    assert refused.status == 503
    assert "shutting down" in refused.json["error"]
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
    info = error_details_pb2.ErrorInfo()
    assert details(ended.value)[0].Unpack(info)
    assert info.reason == "SHUTTING_DOWN"
    assert json.loads(last_line) == {"error": "the server is shutting down"}
    assert daemon.process.wait(30) == 0


def test_a_second_signal_ends_at_once(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_DRAIN_TIMEOUT="1h")
    daemon.add_endless_model()
    with daemon.generation() as stub:
        stream = stub.Generate(request())
        next(stream)
        workers = daemon.workers()
        daemon.process.terminate()
        assert settle(lambda: daemon.request("GET", "/readyz").status == 503)
        daemon.process.terminate()
        assert daemon.process.wait(30) == 1
        with pytest.raises(grpc.RpcError):
            list(stream)
    assert settle(lambda: not any(worker.is_running() for worker in workers))
    assert not list(daemon.runtime.iterdir())
