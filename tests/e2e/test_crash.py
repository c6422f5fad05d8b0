"""A worker's death is a pause: the stream goes on where it was."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from e2e.daemon import Daemon
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

COUNT = 8_000
"""Tokens of an answer: several seconds of work, far more than what fits into the pipes between."""

ALPHABET = "abcdefghijklmnopqrstuvwxyz" * (COUNT // 26 + 2)

Stream = Iterator[generation_pb2.GenerateResponse]


def request(count: int = COUNT) -> generation_pb2.GenerateRequest:
    """The alphabet, sampled from the whole vocabulary, through many context shifts."""
    options = Options(num_predict=count, num_ctx=4096, temperature=1, top_k=0, top_p=1, seed=1)
    return generation_pb2.GenerateRequest(
        model="endless", prompt="z", raw=True, return_context=True, options=options
    )


class Reader:
    """Reads a stream and keeps what came."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.ids: list[int] = []
        self.text = ""
        self.finished: generation_pb2.Finished | None = None

    def read(self, count: int = COUNT) -> None:
        """Until `count` more ids are there, or the end."""
        wanted = len(self.ids) + count
        for reply in self.stream:
            for piece in reply.pieces.pieces:
                self.ids.extend(piece.token_ids)
                self.text += piece.text
            if reply.HasField("finished"):
                self.finished = reply.finished
            if len(self.ids) >= wanted:
                break


def kill_worker(daemon: Daemon) -> int:
    (worker,) = daemon.busy_workers()
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    return worker.pid


def test_a_killed_worker_is_a_pause_without_a_token_lost_or_repeated(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon(LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    with daemon.generation() as stub:
        reader = Reader(stub.Generate(request()))
        reader.read(50)
        killed = kill_worker(daemon)
        reader.read()
        reader.read()  # the last message
    assert reader.finished is not None
    assert reader.finished.resumed_count == 1
    assert reader.finished.generated_count == COUNT
    assert reader.text == ALPHABET[:COUNT]
    assert len(reader.ids) == COUNT
    assert list(reader.finished.context.ids)[-COUNT:] == reader.ids
    (after,) = daemon.busy_workers()
    assert after.pid != killed


def test_two_crashes_fail_the_request_with_its_reason_and_the_model_serves_on(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon(LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    with daemon.generation() as stub:
        reader = Reader(stub.Generate(request()))
        reader.read(50)
        kill_worker(daemon)
        reader.read(5000)  # more than the pipes held: the second worker is at work
        kill_worker(daemon)
        with pytest.raises(grpc.RpcError) as error:
            reader.read()
        status = rpc_status.from_call(error.value)
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.reason == "WORKER_CRASHED"
        assert reader.text == ALPHABET[: len(reader.text)]
        record = 'a request is given up: {"model": "endless:latest", "job": 1'
        assert record in daemon.log.read_text()
        again = Reader(stub.Generate(request(3)))
        again.read()
        assert again.text == "abc"


def test_a_crash_of_one_model_is_nothing_to_another(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    with daemon.generation() as stub:
        reader = Reader(stub.Generate(request()))
        reader.read(50)
        (endless,) = daemon.busy_workers()
        assert daemon.generate(prompt="hi").status == 200
        other = next(worker for worker in daemon.busy_workers() if worker.pid != endless.pid)
        other.kill()
        other.wait(10)
        reader.read()
        reader.read()
    assert reader.finished is not None
    assert reader.finished.resumed_count == 0
    assert reader.text == ALPHABET[:COUNT]


def test_an_idle_models_crash_goes_unseen(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    assert daemon.generate(prompt="hi").status == 200
    kill_worker(daemon)
    assert daemon.generate(prompt="hi").status == 200
