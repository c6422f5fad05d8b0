"""Real weights: all-MiniLM-L6-v2 agrees with the same network in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from native.minilm import INSTALL, MiniLm, weights_folder

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

FOLDER = weights_folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason=f"the weights are missing: {INSTALL}")

TEXTS = [
    "The cat sits on the mat.",
    "A feline rests upon a rug.",
    "Interest rates were raised by a quarter of a percentage point.",
    "naïve café — 12,5 € (déjà vu) user_name's e-mail",
    "x",
    "Why is the sky blue? " * 20,
]


@pytest.fixture(scope="module")
def minilm() -> MiniLm:
    assert FOLDER is not None
    return MiniLm.read(FOLDER)


@pytest.fixture(scope="module")
def model(minilm: MiniLm, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return native.Model(minilm.write(tmp_path_factory.mktemp("minilm") / "minilm.gguf"))


def tokenize(model: Any, text: str) -> Any:
    return model.tokenize(text, add_special=True, parse_special=True)


def test_texts_become_the_ids_of_the_vocabulary(minilm: MiniLm, model: Any) -> None:
    for text in TEXTS:
        assert tokenize(model, text).tolist() == minilm.ids(text)


def test_vectors_agree_with_the_reference(minilm: MiniLm, model: Any) -> None:
    vectors = native.Embedder(model, num_ctx=512).embed([tokenize(model, text) for text in TEXTS])
    wanted = np.stack([minilm.vector(text) for text in TEXTS])
    assert vectors.shape == (len(TEXTS), 384)
    assert np.sum(vectors * wanted, axis=1).min() >= 0.9999


def test_meaning_counts_and_not_letters(model: Any) -> None:
    cat, feline, rates, *_ = native.Embedder(model).embed([tokenize(model, t) for t in TEXTS])
    assert cat @ feline > 0.5 > 0.2 > cat @ rates


def test_packed_inputs_have_the_vectors_that_each_has_alone(model: Any) -> None:
    embedder = native.Embedder(model)
    inputs = [tokenize(model, text) for text in TEXTS * 9]
    together = embedder.embed(inputs)
    alone = np.concatenate([embedder.embed([each]) for each in inputs])
    # Component by component it is 1e-4: ggml's GELU is a table of float16, so that the last bit of
    # a sum, whose order depends on the shape of the batch, can take a step in it.
    assert np.sum(together * alone, axis=1).min() > 1 - 1e-6
