"""Vectors: packed and alone, their order, their length, their limits."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf_files import tiny_bert, tiny_llama

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

WORDS = ["the", "cat", "dog", "sat", "on", "mat", "sky", "is", "blue", "why"]


@pytest.fixture(scope="module")
def bert(folder: Path) -> Any:
    return native.Model(tiny_bert(folder / "bert.gguf", seed=3, context=512))


@pytest.fixture(scope="module")
def ranker(folder: Path) -> Any:
    return native.Model(tiny_bert(folder / "ranker.gguf", seed=4, pooling=4))


@pytest.fixture(scope="module")
def causal(folder: Path) -> Any:
    """As embedding models are that take the state of the last token."""
    metadata = {"llama.pooling_type": 3}
    return native.Model(tiny_llama(folder / "causal.gguf", seed=5, metadata=metadata))


def tokenize(model: Any, text: str) -> Any:
    return model.tokenize(text, add_special=True, parse_special=True)


def inputs_for(model: Any, count: int, words_max: int = 60) -> list[Any]:
    draw = np.random.default_rng(7)
    texts = [draw.choice(WORDS, draw.integers(1, words_max)) for _ in range(count)]
    return [tokenize(model, " ".join(words)) for words in texts]


def one_by_one(embedder: Any, inputs: list[Any]) -> Any:
    return np.concatenate([embedder.embed([each]) for each in inputs])


@pytest.mark.parametrize("kind", ["bert", "causal"])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_inputs_together_have_the_vectors_that_each_has_alone(
    kind: str, count: int, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    inputs = inputs_for(model, count)
    # Flash attention, which passes over the tokens of other inputs, rounds keys and values to
    # float16: against the reference no less exact (test_minilm.py), but less alike bit by bit. So
    # are a GPU's products, whose order depends on how many there are.
    on_gpu = any(device["kind"] == "gpu" for device in native.devices())
    for flash_attention, difference_max in ((None, 1e-3), (False, 1e-3 if on_gpu else 5e-5)):
        embedder = native.Embedder(model, num_ctx=512, flash_attention=flash_attention)
        together, alone = embedder.embed(inputs), one_by_one(embedder, inputs)
        assert np.sum(together * alone, axis=1).min() > 1 - 1e-6
        assert np.abs(together - alone).max() < difference_max


def test_vectors_come_in_the_order_of_the_inputs(bert: Any) -> None:
    embedder = native.Embedder(bert)
    inputs = inputs_for(bert, 50)
    forward, backward = embedder.embed(inputs), embedder.embed(inputs[::-1])
    assert np.abs(forward - backward[::-1]).max() < 1e-3
    assert np.abs(forward[0] - forward[1]).max() > 1e-2


def test_vectors_have_length_1_and_are_float32(bert: Any) -> None:
    vectors = native.Embedder(bert).embed(inputs_for(bert, 20))
    assert vectors.dtype == np.float32
    assert vectors.shape == (20, 64)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_a_vector_of_zeros_stays_one(folder: Path) -> None:
    zeros = {"blk.0.layer_output_norm.weight": np.zeros(64, "float32")}
    path = tiny_bert(folder / "zeros.gguf", tensors=zeros)
    model = native.Model(path)
    assert not native.Embedder(model).embed([tokenize(model, "the cat")]).any()


def test_numbers_that_are_not_finite_are_an_error(folder: Path) -> None:
    infinite = {"blk.0.layer_output_norm.bias": np.full(64, np.inf, "float32")}
    model = native.Model(tiny_bert(folder / "infinite.gguf", tensors=infinite))
    with pytest.raises(native.NativeError, match="embedding contains NaN or Inf values") as failure:
        native.Embedder(model).embed([tokenize(model, "the cat")])
    assert failure.value.code == "INVALID_ARGUMENT"


def test_a_ranking_model_gives_scores(ranker: Any) -> None:
    embedder = native.Embedder(ranker)
    assert embedder.info["ranks"]
    inputs = inputs_for(ranker, 40)
    scores = embedder.embed(inputs)
    assert scores.shape == (40, 1)
    assert np.abs(scores - one_by_one(embedder, inputs)).max() < 1e-2
    assert np.ptp(scores) > 0.1


@pytest.mark.parametrize("num_thread", [1, 2])
def test_lanes_and_threads_give_the_same_vectors(bert: Any, num_thread: int) -> None:
    inputs = [*inputs_for(bert, 200), *([5] * size for size in (512, 400, 300))]
    wanted = native.Embedder(bert, num_ctx=512, num_thread=1, flash_attention=False).embed(inputs)
    embedder = native.Embedder(bert, num_ctx=512, num_thread=num_thread)
    assert np.sum(embedder.embed(inputs) * wanted, axis=1).min() > 1 - 1e-6


def test_no_inputs_give_no_vectors(bert: Any) -> None:
    assert native.Embedder(bert).embed([]).shape == (0, 64)


def test_an_encoder_takes_inputs_up_to_its_batch_and_context(bert: Any) -> None:
    assert native.Embedder(bert, num_ctx=4096).info["input_tokens_max"] == 512
    assert native.Embedder(bert, num_ctx=100).info["input_tokens_max"] == 100
    embedder = native.Embedder(bert, num_batch=40)
    assert embedder.info["input_tokens_max"] == 40
    assert embedder.embed([[5] * 40]).shape == (1, 64)
    with pytest.raises(native.NativeError, match="input 0 has 41 tokens, and the limit is 40"):
        embedder.embed([[5] * 41])


@pytest.mark.parametrize("num_batch", [1, 257, 700, 1000])
def test_any_batch_size_computes(folder: Path, num_batch: int) -> None:
    """llama.cpp aborts over the mean where the batch is no multiple of the sequences."""
    model = native.Model(tiny_bert(folder / "wide.gguf", context=1024))
    embedder = native.Embedder(model, num_ctx=1024, num_batch=num_batch)
    assert embedder.info["input_tokens_max"] == num_batch
    assert embedder.embed([[5] * num_batch, [5]]).shape == (2, 64)


def test_a_causal_model_is_computed_in_chunks(causal: Any) -> None:
    draw = np.random.default_rng(1)
    tokens = draw.integers(259, 350, 1500)
    whole = native.Embedder(causal, num_ctx=2048, num_batch=2048).embed([tokens])
    chunks = native.Embedder(causal, num_ctx=2048, num_batch=64).embed([[5, 6], tokens])
    assert np.abs(whole[0] - chunks[1]).max() < 1e-3


def test_bad_inputs_are_refused_by_their_place(bert: Any) -> None:
    embedder = native.Embedder(bert)
    with pytest.raises(native.NativeError, match="input 1 has no tokens"):
        embedder.embed([[5], []])
    with pytest.raises(native.NativeError, match="token id 9999 is outside the vocabulary"):
        embedder.embed([[5], [9999]])
    assert embedder.embed([[5]]).shape == (1, 64)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pooling": "median"}, "pooling must be mean, cls, last or rank"),
        ({"num_ctx": 0}, "num_ctx must be 1 or more"),
        ({"num_batch": 0}, "num_batch must be 1 or more"),
        ({"num_thread": -1}, "num_thread must be 0 or more"),
    ],
)
def test_options_out_of_range_are_refused_by_name(
    bert: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(native.NativeError, match=text):
        native.Embedder(bert, **options)


def test_an_unknown_pooling_of_a_file_is_refused(folder: Path) -> None:
    model = native.Model(tiny_bert(folder / "odd.gguf", pooling=77))
    with pytest.raises(native.NativeError, match=r"bert.pooling_type 77 is not known"):
        native.Embedder(model)


def test_a_file_without_pooling_is_given_the_mean(folder: Path) -> None:
    mean = native.Model(tiny_bert(folder / "mean.gguf", pooling=1))
    silent = native.Model(tiny_bert(folder / "silent.gguf", pooling=None))
    vectors = [native.Embedder(model).embed([[2, 60, 70, 3]]) for model in (mean, silent)]
    assert np.array_equal(*vectors)


def test_calls_from_several_threads_do_not_mix(bert: Any) -> None:
    embedder = native.Embedder(bert)
    inputs = [inputs_for(bert, 100)[index::4] for index in range(4)]
    wanted = [embedder.embed(each) for each in inputs]
    found: list[Any] = [None] * 4

    def work(index: int) -> None:
        found[index] = embedder.embed(inputs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_a_cancelled_call_ends_early(folder: Path) -> None:
    path = tiny_bert(
        folder / "large.gguf", embedding=512, heads=8, blocks=4, feed_forward=2048, context=512
    )
    model = native.Model(path)
    embedder = native.Embedder(model, num_ctx=512)
    cancellation = native.Cancellation()
    threading.Timer(0.2, cancellation.ask).start()
    begin = time.monotonic()
    with pytest.raises(native.NativeError) as failure:
        embedder.embed([[5] * 500] * 2000, cancellation=cancellation)
    assert failure.value.code == "CANCELLED"
    assert time.monotonic() - begin < 20
    assert embedder.embed([[5]]).shape == (1, 512)
