"""Every type that `create` takes is one that llama.cpp can make."""

from __future__ import annotations

from pathlib import Path

import pytest

from gguf_files import tiny_llama
from llamawire import native
from llamawire.engine.store.create_quantize import IMATRIX_TYPES, TYPES
from llamawire.engine.store.gguf import read_gguf


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As wide as the largest block of any type."""
    path = tmp_path_factory.mktemp("source") / "f16.gguf"
    keys = {"general.file_type": 1}
    return tiny_llama(
        path, embedding=256, heads_kv=1, feed_forward=256, blocks=1, dtype="float16", metadata=keys
    )


@pytest.mark.parametrize("type_", TYPES)
def test_a_file_can_have_this_type(source: Path, tmp_path: Path, type_: str) -> None:
    target = tmp_path / "target.gguf"
    native.quantize(str(source), str(target), type_)
    made = read_gguf(target)
    # Of F32, which is number 0, the reader says what Ollama does.
    assert made.file_type == ("unknown" if type_ == "F32" else type_)
    assert ("F16" in {tensor.type_name for tensor in made.tensors}) == (type_ == "F16")


@pytest.mark.parametrize("type_", sorted(set(native.quantize_types()) - set(TYPES)))
def test_what_is_left_out_needs_an_importance_matrix(
    source: Path, tmp_path: Path, type_: str
) -> None:
    assert type_ in IMATRIX_TYPES
    with pytest.raises(native.NativeError, match="importance matrix"):
        native.quantize(str(source), str(tmp_path / "target.gguf"), type_)
