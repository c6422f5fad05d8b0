"""Calls to embed that meet: what is computed together, what is told apart, what is let go."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf_files import tiny_bert

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

from llamawire.worker.embedding import ROUND_INPUTS_MAX, EmbedQueue, shortened  # noqa: E402


class FakeEmbedder:
    """Gives each input its first id as a vector; refuses the id 0. `gate` holds rounds back."""

    info = {"width": 1}  # noqa: RUF012

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, inputs: Any, *, cancellation: Any) -> Any:
        self.rounds.append(len(inputs))
        assert self.gate.wait(10)
        if any(each[0] == 0 for each in inputs):
            raise native.NativeError("no zeros", "INVALID_ARGUMENT")
        return np.array([[each[0]] for each in inputs], np.float32)


def inputs(*ids: int) -> Any:
    return [np.array([each], np.int32) for each in ids]


async def until(condition: Any) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come true")


async def test_each_call_has_its_own_vectors() -> None:
    queue = EmbedQueue(FakeEmbedder())  # type: ignore[arg-type]
    found = await asyncio.gather(*(queue.embed(inputs(i, i + 1)) for i in range(1, 60)))
    assert [each.ravel().tolist() for each in found] == [[i, i + 1] for i in range(1, 60)]


async def test_calls_that_meet_are_computed_together() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    queue = EmbedQueue(embedder)  # type: ignore[arg-type]
    first = asyncio.create_task(queue.embed(inputs(1)))
    await until(lambda: embedder.rounds)
    others = [asyncio.create_task(queue.embed(inputs(i))) for i in range(2, 12)]
    await asyncio.sleep(0)
    embedder.gate.set()
    await asyncio.gather(first, *others)
    assert embedder.rounds == [1, 10]


async def test_a_long_call_does_not_keep_a_short_one_waiting() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    queue = EmbedQueue(embedder)  # type: ignore[arg-type]
    long = asyncio.create_task(queue.embed(inputs(*range(1, 10 * ROUND_INPUTS_MAX))))
    await until(lambda: embedder.rounds)
    short = asyncio.create_task(queue.embed(inputs(7)))
    await asyncio.sleep(0)
    embedder.gate.set()
    await short
    assert len(embedder.rounds) <= 3
    assert (await long).ravel().tolist() == list(range(1, 10 * ROUND_INPUTS_MAX))


async def test_a_bad_input_fails_its_own_call_only() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    queue = EmbedQueue(embedder)  # type: ignore[arg-type]
    first = asyncio.create_task(queue.embed(inputs(1)))
    await until(lambda: embedder.rounds)
    bad = asyncio.create_task(queue.embed(inputs(5, 0)))
    good = asyncio.create_task(queue.embed(inputs(6)))
    await asyncio.sleep(0)
    embedder.gate.set()
    with pytest.raises(native.NativeError, match="no zeros"):
        await bad
    assert (await good).ravel().tolist() == [6]
    await first


async def test_a_call_that_leaves_is_not_computed() -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    queue = EmbedQueue(embedder)  # type: ignore[arg-type]
    first = asyncio.create_task(queue.embed(inputs(1)))
    await until(lambda: embedder.rounds)
    gone = asyncio.create_task(queue.embed(inputs(2, 3, 4)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    embedder.gate.set()
    await first
    assert (await queue.embed(inputs(9))).ravel().tolist() == [9]
    assert embedder.rounds == [1, 1]


async def test_a_round_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    path = tiny_bert(
        tmp_path / "large.gguf", embedding=512, heads=8, blocks=4, feed_forward=2048, context=512
    )
    queue = EmbedQueue(native.Embedder(native.Model(path), num_ctx=512))
    whole = np.full(500, 5, np.int32)
    gone = asyncio.create_task(queue.embed([whole] * ROUND_INPUTS_MAX))
    await asyncio.sleep(0.1)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    begin = time.monotonic()
    await queue.embed(inputs(9))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("dimensions", [0, 4, 9, -1])
def test_more_dimensions_than_there_are_change_nothing(dimensions: int) -> None:
    vectors = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
    assert shortened(vectors, dimensions) is vectors


def test_fewer_dimensions_have_length_1_again() -> None:
    vectors = np.array([[0.6, 0.0, 0.8], [0.0, 0.0, 1.0]], np.float32)
    assert shortened(vectors, 2).tolist() == [[1.0, 0.0], [0.0, 0.0]]
