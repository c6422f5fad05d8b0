"""LoRA adapters over a model: what they change, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf_files import lora_adapter, tiny_bert, tiny_llama

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

PROMPT = [1, 300, 301, 302]
MATRICES = {
    "blk.0.attn_q.weight": (64, 64),
    "blk.1.ffn_down.weight": (64, 128),
    "output.weight": (354, 64),
}


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    return tiny_llama(folder / "base.gguf", seed=1, scale=4.0)


@pytest.fixture
def tokens(weights: Path, make_client: Any) -> Callable[..., list[int]]:
    """What the model says greedily, with these adapters."""

    def run(*adapters: Path) -> list[int]:
        client = make_client(native.Model(weights, adapters=adapters))
        found: list[int] = client.run(PROMPT, num_predict=24).tokens
        return found

    return run


def test_an_adapter_changes_the_text_and_one_of_zeros_does_not(
    tokens: Callable[..., list[int]], tmp_path: Path
) -> None:
    base = tokens()
    assert tokens(lora_adapter(tmp_path / "a", MATRICES)) != base
    assert tokens(lora_adapter(tmp_path / "zero", MATRICES, gain=0.0)) == base


def test_alpha_by_the_rank_is_how_much_it_counts(
    tokens: Callable[..., list[int]], tmp_path: Path
) -> None:
    def scaled(alpha: float, gain: float) -> list[int]:
        alphas = {"adapter.lora.alpha": alpha}
        path = tmp_path / f"{alpha}-{gain}"
        return tokens(lora_adapter(path, MATRICES, gain=gain, metadata=alphas))

    whole = scaled(4.0, 1.0)
    assert scaled(8.0, 0.5) == whole
    assert scaled(2.0, 1.0) != whole


def test_several_adapters_add_up(tokens: Callable[..., list[int]], tmp_path: Path) -> None:
    one = lora_adapter(tmp_path / "one", MATRICES, gain=0.5)
    other = lora_adapter(tmp_path / "other", MATRICES, seed=1)
    twice = lora_adapter(tmp_path / "twice", MATRICES, gain=1.0)
    assert tokens(one, one) == tokens(twice)
    assert tokens(one, other) not in (tokens(one), tokens(other))


def test_the_embedding_of_tokens_can_be_changed(
    tokens: Callable[..., list[int]], tmp_path: Path
) -> None:
    name, draw = "token_embd.weight", np.random.default_rng(3)
    factors = {
        f"{name}.lora_a": draw.standard_normal((354, 4)).astype("float32"),
        f"{name}.lora_b": draw.standard_normal((64, 4)).astype("float32"),
    }
    assert tokens(lora_adapter(tmp_path / "a", tensors=factors)) != tokens()


def test_vectors_change_too(folder: Path, tmp_path: Path) -> None:
    weights = tiny_bert(folder / "adapted_bert.gguf", seed=3)
    targets, bert = {"blk.0.attn_v.weight": (64, 64)}, {"general.architecture": "bert"}

    def vectors(*adapters: Path) -> Any:
        model = native.Model(weights, adapters=adapters)
        return native.Embedder(model, num_thread=2).embed([[2, 5, 6, 3], [2, 7, 3]])

    base = vectors()
    zero = lora_adapter(tmp_path / "zero", targets, gain=0.0, metadata=bert)
    np.testing.assert_array_equal(vectors(zero), base)
    assert np.abs(vectors(lora_adapter(tmp_path / "a", targets, metadata=bert)) - base).max() > 1e-3


def test_an_adapter_counts_in_the_size(weights: Path, tmp_path: Path) -> None:
    path = lora_adapter(tmp_path / "a")
    with_it = native.Model(weights, adapters=[path]).info["size_bytes"]
    assert with_it - native.Model(weights).info["size_bytes"] == path.stat().st_size


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"general.architecture": "qwen2"}, "model arch and LoRA arch mismatch"),
        ({"general.type": "model"}, "general.type to be 'adapter'"),
    ],
)
def test_what_is_no_adapter_of_this_model_is_refused(
    weights: Path, tmp_path: Path, metadata: dict[str, object], text: str
) -> None:
    path = lora_adapter(tmp_path / "a", metadata=metadata)
    with pytest.raises(native.NativeError, match=text) as caught:
        native.Model(weights, adapters=[path])
    assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(native.NativeError, match="cannot open"):
        native.Model(weights, adapters=[tmp_path / "absent"])
