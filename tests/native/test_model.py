"""Model: what a file may be, its vocabulary, its errors."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from gguf_files import bpe_vocabulary, spm_vocabulary, tiny_bert, tiny_llama, write_gguf
from llamawire import native


def load_error(path: Path, **options: Any) -> native.NativeError:
    with pytest.raises(native.NativeError) as caught:
        native.Model(str(path), **options)
    return caught.value


def test_info_names_what_a_server_needs(model: Any) -> None:
    info = model.info
    assert info["architecture"] == "llama"
    assert info["vocab_size"] == 354
    assert info["embedding_size"] == 64
    assert info["layer_count"] == 2
    assert info["num_ctx_train"] == 4096
    assert (info["bos_token"], info["eos_token"]) == (1, 2)
    assert (info["bos_text"], info["eos_text"]) == ("<s>", "</s>")
    assert info["adds_bos"] is True
    assert info["has_decoder"] is True
    assert info["can_shift"] is True
    assert info["has_fim"] is False


def test_the_build_tells_its_pin_and_its_devices() -> None:
    assert "llama-cpp-python" in native.build_commit()
    assert native.system_info()
    assert any(device["kind"] == "cpu" for device in native.devices())


def test_tokens_come_as_an_array_of_int32(model: Any) -> None:
    ids = model.tokenize("Hello", add_special=True, parse_special=True)
    assert isinstance(ids, np.ndarray)
    assert ids.dtype == np.int32
    assert ids[0] == 1
    assert model.detokenize(ids) == b"<s> Hello"
    assert model.detokenize(list(ids), skip_special=True) == b" Hello"


def test_special_text_is_a_token_only_when_asked(model: Any) -> None:
    whole = model.tokenize("a</s>b", add_special=False, parse_special=True)
    plain = model.tokenize("a</s>b", add_special=False, parse_special=False)
    assert 2 in whole
    assert 2 not in plain


@pytest.mark.parametrize("text", ["", "\0", "é你😀", "a" * 100_000, "\n\n\t "])
def test_any_text_goes_there_and_back(folder: Path, text: str) -> None:
    path = folder / "bpe.gguf"
    if not path.exists():
        tiny_llama(path, tokenizer="bpe")
    bpe = native.Model(str(path))
    ids = bpe.tokenize(text, add_special=False, parse_special=False)
    assert bpe.detokenize(ids).decode() == text


@pytest.mark.parametrize("kind", ["spm", "bpe", "wpm"])
def test_a_long_text_has_the_tokens_of_its_parts(folder: Path, kind: str) -> None:
    path = folder / f"{kind}.gguf"
    if kind == "wpm":
        tiny_bert(path)
    else:
        tiny_llama(path, tokenizer=kind)
    model = native.Model(str(path))
    info = model.info
    specials = [model.detokenize([info[name]]).decode() for name in ("bos_token", "eos_token")]
    random = Random(5)
    words = ["a", " b", "\n\n", "é", "the cat ", "<", "</", "s>", *specials * 2]
    text = "".join(random.choice(words) for _ in range(30_000))

    def tokens(part: str, *, add_special: bool = False) -> list[int]:
        found = model.tokenize(part, add_special=add_special, parse_special=True)
        return [int(token) for token in found]

    # Each of these parts is too short to be cut any more.
    parts = re.split("(?=" + "|".join(map(re.escape, specials)) + ")", text)
    wanted = [token for part in parts for token in tokens(part)]
    assert tokens(text) == wanted
    bare, whole = tokens("the"), tokens("the", add_special=True)
    begin = whole.index(bare[0])
    behind = whole[begin + len(bare) :]
    assert tokens(text, add_special=True) == [*whole[:begin], *wanted, *behind]


def test_special_tokens_cost_what_their_number_costs(folder: Path) -> None:
    # llama.cpp alone would take minutes.
    tiny_llama(folder / "bpe.gguf", tokenizer="bpe")
    model = native.Model(str(folder / "bpe.gguf"))
    end = model.detokenize([model.info["eos_token"]]).decode()
    ids = model.tokenize(end * 200_000, add_special=False, parse_special=True)
    assert list(ids) == [model.info["eos_token"]] * 200_000


def test_an_id_outside_the_vocabulary_is_refused(model: Any) -> None:
    for token in (-1, 354, 2**31, -(2**40)):
        with pytest.raises(native.NativeError, match="vocabulary") as caught:
            model.detokenize([token])
        assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(native.NativeError):
        model.is_end_of_generation(354)


def test_end_of_generation_is_known(model: Any) -> None:
    assert model.is_end_of_generation(2)
    assert not model.is_end_of_generation(300)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = load_error(tmp_path / "no.gguf")
    assert error.code == "INVALID_ARGUMENT"
    assert "no.gguf" in str(error)


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF", b"not a model at all", b"GGUF" + bytes(100), b"GGUF\x03\0\0\0" + b"\xff" * 64],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    assert load_error(path).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("kept", [0.001, 0.01, 0.05, 0.3, 0.99])
def test_a_truncated_model_is_refused(tmp_path: Path, kept: float) -> None:
    whole = tiny_llama(tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "torn.gguf"
    path.write_bytes(whole[: int(len(whole) * kept)])
    error = load_error(path)
    assert error.code == "INVALID_ARGUMENT"
    assert "torn.gguf" in str(error)


@pytest.mark.parametrize(
    "metadata",
    [
        {"general.architecture": "nonesuch"},
        {"general.architecture": None},
        {"llama.block_count": 7},
        {"llama.embedding_length": 128},
        {"llama.attention.head_count": None},
        {"llama.context_length": None},
        {"tokenizer.ggml.model": "nonesuch"},
        {"tokenizer.ggml.tokens": None},
        {"tokenizer.ggml.scores": [0.0] * 10},
        {"tokenizer.ggml.token_type": [1] * 10},
        {"general.alignment": 3},
        # At these llama.cpp would end the process.
        {"tokenizer.ggml.tokens": ["a", "b", "a"]},
        {"llama.block_count": 0},
        {"llama.block_count": 100_000},
        {"llama.expert_count": 4, "llama.expert_used_count": 8},
        {"llama.expert_count": 4},
        {"llama.expert_used_count": 4},
        {"llama.expert_count": 100_000, "llama.expert_used_count": 8},
        {"llama.expert_count": 8, "llama.expert_used_count": 2, "llama.expert_group_count": 3},
        {"llama.rope.scaling.type": "nonesuch"},
        {"llama.attention.layer_norm_rms_epsilon": -1.0},
        {"llama.attention.layer_norm_rms_epsilon": float("nan")},
        {"tokenizer.ggml.model": "bert"},
    ],
    ids=str,
)
def test_a_model_with_wrong_metadata_is_refused(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = tiny_llama(tmp_path / "wrong.gguf", metadata=metadata)
    assert load_error(path).code == "INVALID_ARGUMENT"


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "empty.gguf", {"general.architecture": "llama"})
    assert load_error(path).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("vocabulary", [spm_vocabulary(), bpe_vocabulary()], ids=["spm", "bpe"])
def test_a_bos_that_is_not_in_the_vocabulary_does_no_harm(
    tmp_path: Path, vocabulary: dict[str, Any]
) -> None:
    kind = "spm" if vocabulary["tokenizer.ggml.model"] == "llama" else "bpe"
    wrong = {"tokenizer.ggml.bos_token_id": 100000, "tokenizer.ggml.add_bos_token": True}
    model = native.Model(str(tiny_llama(tmp_path / "m.gguf", tokenizer=kind, metadata=wrong)))
    ids = model.tokenize("hello", add_special=True, parse_special=False)
    assert model.detokenize(ids, skip_special=True).endswith(b"hello")


def test_a_load_can_be_watched_and_cancelled(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "m.gguf")
    progress = native.LoadProgress()
    assert progress.fraction == 0.0
    native.Model(str(path), progress=progress)
    assert progress.fraction == 1.0
    cancelled = native.LoadProgress()
    cancelled.cancel()
    assert load_error(path, progress=cancelled).code == "CANCELLED"


@pytest.mark.parametrize("use_mmap", [None, True, False])
def test_a_model_may_be_read_or_mapped(tmp_path: Path, use_mmap: bool | None) -> None:
    path = tiny_llama(tmp_path / "m.gguf")
    assert native.Model(str(path), use_mmap=use_mmap).info["vocab_size"] == 354
