"""A worker's death at any moment of a request, by any signal, is a pause.

SIGSTOP is the wedge: nothing ends, and nothing comes, until the daemon misses the heartbeat.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from e2e.daemon import Daemon
from e2e.test_crash import Reader
from e2e.test_lifecycle import settle
from gguf_files import tiny_bert, tiny_llama
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

HEARTBEAT_TIMEOUT_S = "2"
COUNT = 100
# So many that a quick machine is not done before the worker is struck.
LONG_COUNT = 1000
SHORT = "a"
LONG = "abcdefgh " * 60
"""A prefill of several calls."""

Strike = Callable[[psutil.Process], None]


def kill(worker: psutil.Process) -> None:
    worker.send_signal(signal.SIGKILL)


def crash(worker: psutil.Process) -> None:
    worker.send_signal(signal.SIGSEGV)
    with contextlib.suppress(psutil.NoSuchProcess):  # it may be dead and reaped by now
        worker.resume()  # if it was stopped: a stopped process dies of nothing but SIGKILL


STRIKES = pytest.mark.parametrize("strike", [kill, crash, psutil.Process.suspend])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With `slow`, whose prefill and decoding take long enough to be struck, and `bert`."""
    folder = tmp_path_factory.mktemp("pause")
    daemon = Daemon(
        folder, LLAMAWIRE_HEARTBEAT_TIMEOUT=HEARTBEAT_TIMEOUT_S, LLAMAWIRE_READ_AHEAD="16"
    )
    path = tiny_llama(
        folder / "slow.gguf", embedding=512, heads=8, blocks=3, feed_forward=1408, dtype="float16"
    )
    daemon.add_model("slow", path)
    daemon.add_model("bert", tiny_bert(folder / "bert.gguf"))
    yield daemon
    daemon.stop()


def request(prompt: str, count: int = COUNT) -> generation_pb2.GenerateRequest:
    """A chosen seed and no company: the reproducible mode. A flat distribution, so that the last
    bit of a logit decides."""
    options = Options(num_predict=count, num_ctx=4096, temperature=1, top_k=0, top_p=1, seed=5)
    return generation_pb2.GenerateRequest(model="slow", prompt=prompt, raw=True, options=options)


@pytest.fixture(scope="module")
def undisturbed(daemon: Daemon) -> dict[str, list[int]]:
    """The ids of each prompt's answer."""
    return {prompt: struck(daemon, prompt, lambda reader: None).ids for prompt in (SHORT, LONG)}


def struck(
    daemon: Daemon, prompt: str, strike: Callable[[Reader], None], count: int = COUNT
) -> Reader:
    with daemon.generation() as stub:
        reader = Reader(stub.Generate(request(prompt, count)))
        strike(reader)
        reader.read()
    assert reader.finished is not None
    assert reader.finished.generated_count == len(reader.ids)
    return reader


def unload_all(daemon: Daemon) -> psutil.Process:
    """Leaves the spare worker, which has started."""
    for model in daemon.request("GET", "/api/ps").json["models"]:
        daemon.generate(model=model["name"], keep_alive=0)
    while True:
        workers = daemon.workers()
        is_spare = len(workers) == 1 and not daemon.busy_workers()
        if is_spare and f"worker {workers[0].pid} waits" in daemon.log.read_text():
            return workers[0]
        time.sleep(0.01)


@STRIKES
def test_while_it_loads(daemon: Daemon, undisturbed: dict[str, list[int]], strike: Strike) -> None:
    spare = unload_all(daemon)
    spare.suspend()  # so the load will still be under way

    def strike_loading(reader: Reader) -> None:
        while len(daemon.workers()) < 2:  # another spare starts when this one is taken
            time.sleep(0.01)
        strike(spare)

    reader = struck(daemon, SHORT, strike_loading)
    assert reader.ids == undisturbed[SHORT]
    assert "a worker died while it loaded slow:latest" in daemon.log.read_text()
    assert not spare.is_running()


@STRIKES
def test_while_it_reads_the_prompt(
    daemon: Daemon, undisturbed: dict[str, list[int]], strike: Strike
) -> None:
    def strike_prefill(reader: Reader) -> None:
        next(reader.stream)  # `started`: the first part of the prompt is computed
        strike(*daemon.busy_workers())

    unload_all(daemon)  # and with it the cache
    reader = struck(daemon, LONG, strike_prefill)
    assert reader.ids == undisturbed[LONG]
    assert reader.finished is not None
    assert reader.finished.resumed_count == 1


@STRIKES
def test_while_it_answers(
    daemon: Daemon, undisturbed: dict[str, list[int]], strike: Strike
) -> None:
    def strike_decode(reader: Reader) -> None:
        reader.read(20)
        strike(*daemon.busy_workers())

    unload_all(daemon)
    reader = struck(daemon, SHORT, strike_decode, count=LONG_COUNT)
    assert reader.ids[:20] == undisturbed[SHORT][:20]
    assert reader.finished is not None
    assert reader.finished.resumed_count == 1


def test_a_spare_that_died_unseen_is_replaced(daemon: Daemon) -> None:
    spare = unload_all(daemon)
    spare.kill()
    spare.wait(10)
    assert daemon.generate(model="slow", prompt=SHORT, options={"num_predict": 1}).status == 200
    assert settle(lambda: len(daemon.workers()) == 2)


def test_calls_that_are_not_streams_are_answered_by_the_next_worker(daemon: Daemon) -> None:
    """All workers stand still when the calls come, so none is in a batch, nor even read."""
    daemon.generate(model="slow", prompt=SHORT, options={"num_predict": 1})
    daemon.post("/api/embed", {"model": "bert", "input": "the"})
    for worker in daemon.busy_workers():
        worker.suspend()
    generate = {"model": "slow", "prompt": SHORT, "stream": False, "options": {"num_predict": 3}}
    calls = [
        ("/api/tokenize", {"model": "slow", "content": "abc"}),
        ("/api/embed", {"model": "bert", "input": "the cat"}),
        ("/api/generate", generate),
    ]
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda call: daemon.post(*call), calls))
    assert [answer.status for answer in answers] == [200, 200, 200]
    tokens, vectors, text = (answer.json for answer in answers)
    assert len(tokens["tokens"]) >= 3
    assert len(vectors["embeddings"]) == 1
    assert text["eval_count"] == 3


def test_a_model_that_crashes_three_times_while_it_loads_is_held_off(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon(LLAMAWIRE_SPARE_WORKERS="0")
    daemon.generate(prompt="", keep_alive=0)
    while daemon.workers():
        time.sleep(0.01)
    ended = threading.Event()

    def kill_all() -> None:
        while not ended.is_set():
            for worker in daemon.workers():
                worker.kill()
            time.sleep(0.01)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        answers = [daemon.generate(prompt="hi") for _ in range(2)]
    finally:
        ended.set()
        killer.join()
    for answer in answers:
        assert answer.status == 503
        assert "loading tiny:latest crashed 3 times in a row" in answer.json["error"]
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert daemon.log.read_text().count("a worker died while it loaded tiny:latest") == 3
