"""The context: no prompt is cut in silence, and a smaller one never loads a model again."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from e2e.daemon import Daemon
from llamawire.v1 import generation_pb2, options_pb2


@pytest.mark.parametrize("num_ctx", [16, 33, 64])
@pytest.mark.parametrize("num_keep", [0, 4, -1])
def test_received_is_kept_and_dropped(daemon: Daemon, num_ctx: int, num_keep: int) -> None:
    with daemon.generation() as stub:
        for length in (1, num_ctx - 2, num_ctx - 1, num_ctx, num_ctx + 1, 3 * num_ctx):
            options = options_pb2.Options(num_ctx=num_ctx, num_keep=num_keep, num_predict=1)
            request = generation_pb2.GenerateRequest(
                model="endless", prompt="a" * length, raw=True, options=options
            )
            started, *_, last = stub.Generate(request)
            told = started.started
            received = told.prompt_received_count
            kept, dropped = told.prompt_kept_count, told.prompt_dropped_count
            assert received >= length
            assert received == kept + dropped
            assert (dropped > 0) == (received > num_ctx - 1)
            assert (last.finished.prompt_count, last.finished.prompt_dropped_count) == (
                kept,
                dropped,
            )
            sent: dict[str, Any] = {"num_ctx": num_ctx, "num_keep": num_keep, "num_predict": 1}
            answer = daemon.generate(
                model="endless", prompt="a" * length, raw=True, options=sent
            ).json
            assert answer["prompt_eval_count"] == kept
            assert answer.get("prompt_dropped_count", 0) == dropped


def test_a_prompt_that_may_not_be_cut_is_refused_with_its_length(daemon: Daemon) -> None:
    options = {"num_ctx": 32, "num_predict": 1}
    answer = daemon.generate(
        model="endless", prompt="a" * 100, raw=True, truncate=False, options=options
    )
    assert answer.status == 400
    assert "exceeds the available context size" in answer.json["error"]
    answer = daemon.generate(
        model="endless", prompt="a" * 100, raw=True, shift=False, options=options
    )
    assert answer.status == 400
    assert "context length" in answer.json["error"]


def test_clients_that_alternate_contexts_never_load_the_model_again(daemon: Daemon) -> None:
    assert daemon.generate(prompt="Hi", options={"num_ctx": 4096, "num_predict": 1}).status == 200
    workers = {worker.pid for worker in daemon.busy_workers()}
    statuses: list[int] = []

    def alternate(first: int) -> None:
        for turn in range(first, first + 100):
            context = [{"num_ctx": 2048}, {"num_ctx": 4096}, {}][turn % 3]
            options = {"num_predict": 1, **context}
            statuses.append(daemon.generate(prompt="Hi", options=options).status)

    clients = [threading.Thread(target=alternate, args=(first,)) for first in (0, 1)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert statuses == [200] * 200
    assert {worker.pid for worker in daemon.busy_workers()} == workers
    (tiny,) = [m for m in daemon.request("GET", "/api/ps").json["models"] if "tiny" in m["name"]]
    assert tiny["context_length"] == 4096
