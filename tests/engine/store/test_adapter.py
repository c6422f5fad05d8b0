"""Adapters that llama.cpp would end the process over are refused, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.store.conftest import Make
from engine.store.test_create import upload
from gguf_files import Typed, lora_adapter, tiny_llama, write_gguf
from llamawire.engine.store import CreateError, InvalidGguf, Library, ModelName
from llamawire.engine.store.gguf import check_adapter_suits, validate_gguf

O = "blk.0.attn_output.weight"  # noqa: E741
E = "token_embd.weight"


def array(rows: int, columns: int, kind: str = "float32") -> np.ndarray:
    return np.ones((rows, columns), kind)


def test_a_sound_adapter_is_accepted(tmp_path: Path) -> None:
    weights = validate_gguf(tiny_llama(tmp_path / "w"))
    norm = {"blk.0.attn_norm.weight": np.ones(64, "float32")}
    embedding = {f"{E}.lora_a": array(354, 2), f"{E}.lora_b": array(64, 2)}
    adapter = validate_gguf(lora_adapter(tmp_path / "a", tensors=norm | embedding))
    assert adapter.role == "adapter"
    check_adapter_suits(adapter, weights)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"general.type": Typed(4, 1)}, 'general.type of an adapter must be "adapter"'),
        ({"adapter.type": Typed(4, 1)}, 'adapter.type of an adapter must be "lora"'),
        ({"adapter.type": "control_vector"}, 'adapter.type of an adapter must be "lora"'),
        ({"adapter.type": None}, 'adapter.type of an adapter must be "lora"'),
        ({"adapter.lora.alpha": 4}, "adapter.lora.alpha must be a finite 32-bit float"),
        ({"adapter.lora.alpha": Typed(12, 4.0)}, "alpha must be a finite 32-bit float"),
        ({"adapter.lora.alpha": "4"}, "adapter.lora.alpha must be a finite 32-bit float"),
        ({"adapter.lora.alpha": float("nan")}, "alpha must be a finite 32-bit float"),
        ({"adapter.alora.invocation_tokens": Typed(4, [1])}, "invocation are not supported"),
    ],
)
def test_keys_that_llama_cpp_would_not_survive(
    tmp_path: Path, metadata: dict[str, object], text: str
) -> None:
    path = lora_adapter(tmp_path / "a", metadata=metadata)
    with pytest.raises(InvalidGguf) as caught:
        validate_gguf(path, role="adapter")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"blk.0.attn_q.weight": array(64, 64)}, "is neither a lora_a nor a lora_b"),
        ({"blk.0.attn_q.weight.lora_a": array(4, 64)}, "is without its other factor"),
        ({f"{O}.lora_b": array(64, 3)}, f'"{O}" have ranks 4 and 3, not one rank'),
        ({f"{E}.lora_a": array(354, 2), f"{E}.lora_b": array(64, 3)}, "ranks 2 and 3"),
        ({f"{O}.lora_a": array(4, 64, "int8")}, "is I8, not one of F32, F16, BF16"),
        ({f"{O}.lora_b": array(64, 4, "float64")}, "is F64, not one of F32, F16, BF16"),
    ],
)
def test_tensors_that_cannot_be_multiplied(
    tmp_path: Path, tensors: dict[str, np.ndarray], text: str
) -> None:
    with pytest.raises(InvalidGguf) as caught:
        validate_gguf(lora_adapter(tmp_path / "a", tensors=tensors))
    assert text in str(caught.value)


def test_an_adapter_without_tensors(tmp_path: Path) -> None:
    keys = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    with pytest.raises(InvalidGguf, match="the adapter has no tensors"):
        validate_gguf(write_gguf(tmp_path / "a", keys))


@pytest.mark.parametrize(
    ("metadata", "tensors", "text"),
    [
        (
            {"general.architecture": "qwen2"}, {},
            "the adapter is for the architecture qwen2, the model is llama",
        ),
        (
            {}, {"blk.9.attn_q.weight.lora_a": array(4, 64),
                 "blk.9.attn_q.weight.lora_b": array(64, 4)},
            'the adapter changes "blk.9.attn_q.weight", which the model does not have',
        ),
        (
            {}, {f"{O}.lora_a": array(4, 32)},
            f'the adapter\'s "{O}" is 32 x 64, the model\'s 64 x 64',
        ),
        (
            {}, {f"{O}.lora_a": np.ones((3, 4, 64), "float32")},
            f'the adapter\'s "{O}" is 0 x 0, the model\'s 64 x 64',
        ),
        (
            {}, {f"{O}.lora_a": np.ones((3, 4, 64), "float32"),
                 f"{O}.lora_b": np.ones((3, 64, 4), "float32")},
            f'the adapter\'s "{O}" is 64 x 64 x 3, the model\'s 64 x 64',
        ),
    ],
)  # fmt: skip
def test_adapters_of_another_model(
    tmp_path: Path, metadata: dict[str, object], tensors: dict[str, np.ndarray], text: str
) -> None:
    weights = validate_gguf(tiny_llama(tmp_path / "w"))
    adapter = validate_gguf(lora_adapter(tmp_path / "a", metadata=metadata, tensors=tensors))
    with pytest.raises(InvalidGguf) as caught:
        check_adapter_suits(adapter, weights)
    assert str(caught.value) == text


def test_an_embedding_that_is_the_output_too(tmp_path: Path) -> None:
    factors = {f"{E}.lora_a": array(354, 2), f"{E}.lora_b": array(64, 2)}
    adapter = validate_gguf(lora_adapter(tmp_path / "a", tensors=factors))
    weights = validate_gguf(tiny_llama(tmp_path / "w", without=("output.weight",)))
    with pytest.raises(InvalidGguf, match="which is the output of this model, too"):
        check_adapter_suits(adapter, weights)


def test_create_compares_an_adapter_with_its_base(
    library: Library, make: Make, tmp_path: Path
) -> None:
    files = {"w.gguf": upload(library, tiny_llama(tmp_path / "w"))}
    other = lora_adapter(tmp_path / "other", metadata={"general.architecture": "qwen2"})
    with pytest.raises(CreateError, match="qwen2, the model is llama"):
        make("a", files=files, adapters={"a.gguf": upload(library, other)})
    make("a", files=files, adapters={"a.gguf": upload(library, lora_adapter(tmp_path / "1"))})
    second = upload(library, lora_adapter(tmp_path / "2", seed=2))
    make("b", base="a", adapters={"a.gguf": second})
    adapters = library.get(ModelName.parse("b")).adapters
    assert [path.name.endswith(second[7:]) for path in adapters] == [False, True]
    with pytest.raises(CreateError, match="only one adapter"):
        make("c", base="a", adapters={"a.gguf": second, "b.gguf": second})
