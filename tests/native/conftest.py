"""Models of random weights, and a client of the loop that collects what each job gives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gguf_files import echo_automaton, tiny_llama

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")


@dataclass
class Job:
    """What came of one job; `events` counts its TOKENS events."""

    tokens: list[int] = field(default_factory=list)
    text: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    started: bool = False
    last: Any = None

    @property
    def reason(self) -> str:
        assert self.last is not None
        assert self.last.kind == native.EVENT_FINISHED, self.last
        return self.last.reason

    @property
    def cached(self) -> int:
        return self.last.cached

    @property
    def outcome(self) -> tuple[list[int], bytes, str]:
        return self.tokens, self.text, self.reason


class Client:
    """One reader over a loop; any thread may submit."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.jobs: dict[int, Job] = {}
        self.ended: list[int] = []  # in order
        self.next_id = 1

    def submit(self, prompt: Any, **options: Any) -> int:
        job_id, self.next_id = self.next_id, self.next_id + 1
        self.jobs[job_id] = Job()
        options.setdefault("temperature", 0)
        self.loop.submit(job_id, prompt, **options)
        return job_id

    def pump(self, timeout_s: float = 5.0) -> None:
        for event in self.loop.wait(timeout_s):
            job = self.jobs[event.job_id]
            assert job.last is None, f"an event after the last: {event}"
            if event.kind == native.EVENT_STARTED:
                assert not job.started
                job.started = True
            elif event.kind == native.EVENT_TOKENS:
                assert job.started
                job.tokens += event.tokens
                job.text += event.text
                job.pieces.append(event.text)
                event.text.decode()
            else:
                job.last = event
                self.ended.append(event.job_id)

    def until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, (self.jobs, self.loop.stats)
            self.pump(0.2)

    def finish(self, *job_ids: int) -> list[Job]:
        self.until(lambda: all(self.jobs[job_id].last for job_id in job_ids))
        return [self.jobs[job_id] for job_id in job_ids]

    def run(self, prompt: Any, **options: Any) -> Job:
        return self.finish(self.submit(prompt, **options))[0]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="session")
def model(folder: Path) -> Any:
    """Random weights, peaked enough that greedy near-ties are rare; its EOS hardly ever comes."""
    return native.Model(str(tiny_llama(folder / "tiny.gguf", seed=1, scale=4.0)))


@pytest.fixture(scope="session")
def echo(folder: Path) -> Any:
    """The model that says what follows in the alphabet, and ends at `</s>`."""
    return native.Model(str(echo_automaton(folder / "echo.gguf")))


@pytest.fixture(scope="session")
def slow(folder: Path) -> Any:
    """Large enough that a prompt of some thousand tokens takes seconds."""
    path = tiny_llama(
        folder / "slow.gguf",
        embedding=512,
        heads=8,
        blocks=4,
        feed_forward=1408,
        context=16384,
        dtype="float16",
    )
    return native.Model(str(path))


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    """`make_client(model, **options)`: a client over a fresh loop, closed at the end."""
    loops = []

    def make(model: Any, **options: Any) -> Client:
        loops.append(native.Loop(model, **{"num_parallel": 4, "num_ctx": 512, **options}))
        return Client(loops[-1])

    yield make
    for loop in loops:
        loop.close()


@pytest.fixture
def waiter() -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Runs a function in a thread and joins it at the end."""
    threads = []

    def start(function: Callable[[], Any]) -> threading.Thread:
        threads.append(threading.Thread(target=function))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
