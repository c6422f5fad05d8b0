from __future__ import annotations

import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gguf_files import (
    Typed,
    echo_automaton,
    lora_adapter,
    spm_vocabulary,
    tiny_llama,
    tiny_projector,
    write_gguf,
)
from llamawire.engine.store import InvalidGguf, read_gguf, validate_gguf
from random_models import ARCHITECTURES, random_model

ONE = np.ones(8, np.float32)


def model(tmp_path: Path, **metadata: object) -> Path:
    """A small model; `__` in a keyword stands for a dot."""
    keys = {key.replace("__", "."): value for key, value in metadata.items()}
    return tiny_llama(tmp_path / "f", embedding=16, blocks=1, feed_forward=32, metadata=keys)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidGguf) as caught:
        validate_gguf(path)
    return str(caught.value)


@pytest.mark.parametrize("tokenizer", ["spm", "bpe"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_tiny_models_are_valid(tmp_path: Path, tokenizer: str, dtype: str) -> None:
    header = validate_gguf(tiny_llama(tmp_path / "f", tokenizer=tokenizer, dtype=dtype))
    assert header.role == "model"
    validate_gguf(echo_automaton(tmp_path / "e", tokenizer=tokenizer))


def test_the_smallest_file_is_valid(tmp_path: Path, minimal_gguf: bytes) -> None:
    (tmp_path / "f").write_bytes(minimal_gguf)
    assert validate_gguf(tmp_path / "f").architecture == "test"


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"llama__block_count": 0}, "llama.block_count 0 is not between 1 and 512"),
        ({"llama__block_count": 513}, "llama.block_count 513 is not between 1 and 512"),
        ({"llama__block_count": "x"}, "llama.block_count must be an integer"),
        ({"llama__context_length": 0}, "llama.context_length 0 is not"),
        ({"llama__context_length": -1}, "llama.context_length -1 is not"),
        ({"llama__embedding_length": 1 << 31}, "llama.embedding_length 2147483648 is not"),
        ({"llama__attention__head_count_kv": 3}, "4 attention heads cannot share 3"),
        ({"llama__attention__head_count": [4, 6]}, "6 attention heads cannot share 4"),
        ({"llama__attention__head_count": [4, -4]}, "must be a count, or one for each block"),
        ({"llama__attention__head_count": [4] * 513}, "must be a count, or one for each block"),
        ({"llama__attention__head_count": 5, "llama__attention__head_count_kv": 5}, "16 does not"),
        ({"llama__rope__scaling__type": "bogus"}, "'bogus' is not known"),
        ({"llama__nextn_predict_layers": 2}, "nextn_predict_layers 2 is not between 0 and 1"),
        ({"llama__expert_count": 1025}, "llama.expert_count 1025 is not"),
        ({"llama__expert_count": 8}, "0 of 8 experts"),
        ({"llama__expert_count": 8, "llama__expert_used_count": 9}, "9 of 8 experts"),
        ({"llama__expert_used_count": 2}, "2 of 0 experts"),
        (
            {
                "llama__expert_count": 8,
                "llama__expert_used_count": 2,
                "llama__expert_group_count": 3,
                "llama__expert_group_used_count": 1,
            },
            "1 of 3 groups of 8 experts",
        ),
        ({"general__alignment": 24}, "invalid GGUF alignment: 24"),
        ({"general__alignment": "32"}, "general.alignment must be an integer"),
        ({"general__architecture": ""}, "general.architecture must be"),
        ({"general__architecture": "a b"}, "general.architecture must be"),
        ({"general__architecture": 3}, "general.architecture must be"),
        ({"general__architecture": None}, "general.architecture must be"),
        ({"k\0x": 1}, "is not a name"),
        ({"": 1}, "is not a name"),
        ({"tokenizer__ggml__tokens": ["a", "b", "a"]}, "token 'a' appears twice"),
        ({"tokenizer__ggml__tokens": ["a", "b", "a\0c"]}, "token 'a' appears twice"),
        ({"tokenizer__ggml__tokens": ["[EMPTY_1]", ""]}, "token '[EMPTY_1]' appears twice"),
        ({"tokenizer__ggml__tokens": [1, 2]}, "must be a list of strings"),
        ({"tokenizer__ggml__tokens": "a"}, "must be a list of strings"),
        ({"tokenizer__ggml__bos_token_id": 354}, "bos_token_id 354 is not one of 354"),
        ({"tokenizer__ggml__eot_token_id": "x"}, "eot_token_id must be an integer"),
    ],
)
def test_what_llama_cpp_would_die_of_is_refused(
    tmp_path: Path, metadata: dict[str, object], text: str
) -> None:
    if "tokenizer__ggml__tokens" in metadata:
        ids = [key for key in spm_vocabulary() if key.endswith("_token_id")]
        metadata = metadata | dict.fromkeys(ids)
    assert text in refusal(model(tmp_path, **metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        {"llama__attention__head_count": [4, 0], "llama__attention__head_count_kv": [2, 0]},
        {"tokenizer__ggml__padding_token_id": 0xFFFF_FFFF},
        {"tokenizer__ggml__padding_token_id": -1},
        {"llama__expert_count": 8, "llama__expert_used_count": [2, 3]},
        {"general__alignment": 32},
        {"tokenizer__ggml__tokens": None},
        {"general__architecture": "never-heard-of"},
    ],
)  # fmt: skip
def test_what_llama_cpp_can_bear_is_let_through(
    tmp_path: Path, metadata: dict[str, object]
) -> None:
    validate_gguf(model(tmp_path, **metadata))


def test_the_size_of_heads_may_be_given_instead_of_derived(tmp_path: Path) -> None:
    keys: dict[str, object] = {
        "general.architecture": "llama", "llama.embedding_length": 16,
        "llama.attention.head_count": 5, "llama.attention.key_length": 8,
        "llama.attention.value_length": 8,
    }  # fmt: skip
    validate_gguf(write_gguf(tmp_path / "f", keys, {"a": ONE}))


@pytest.mark.parametrize(
    ("architecture", "key", "value", "text"),
    [
        ("qwen2vl", "attention.key_length", 4096, "dimension_count 16 does not suit heads of 4096"),
        ("phi3", "attention.value_length", 0, "keys of 16 and values of 0 must be of one size"),
        ("lfm2", "attention.head_count", 65536, 'attn_q.weight" has 64 rows, and its heads need'),
        ("phi3", "attention.head_count", 512, 'attn_qkv.weight" has 128 rows, and its heads need'),
        ("gemma3", "rope.dimension_count", 513, "dimension_count 513 does not suit heads of 16"),
        ("gemma3", "rope.dimension_count", 15, "dimension_count 15 does not suit heads of 16"),
        ("phi3", "rope.dimension_count", 0, "dimension_count 0 does not suit heads of 16"),
        ("qwen2", "rope.dimension_count", 8, "dimension_count 8 does not suit heads of 16"),
    ],
)
def test_heads_that_do_not_suit_the_matrices_are_refused(
    tmp_path: Path, architecture: str, key: str, value: int, text: str
) -> None:
    keys, tensors = random_model(architecture)
    keys[f"{architecture}.{key}"] = value
    assert text in refusal(write_gguf(tmp_path / "f", keys, tensors))


def test_a_matrix_that_the_loader_forgets_to_ask_for_is_asked_for(tmp_path: Path) -> None:
    keys, tensors = random_model("phi3")
    del tensors["blk.0.attn_qkv.weight"]
    assert 'needs the tensor "blk.0.attn_qkv.weight"' in refusal(
        write_gguf(tmp_path / "f", keys, tensors)
    )


@pytest.mark.parametrize(
    ("architecture", "tensor", "kind", "text"),
    [
        ("llama", "token_embd.weight", "int32", "is of I32, not of weights"),
        ("phi3", "blk.0.attn_qkv.weight", "float64", "is of F64, not of weights"),
        ("gemma3", "blk.2.attn_output.weight", "int8", "is of I8, not of weights"),
        ("llama", "output_norm.weight", "float16", "must be F32, not F16"),
        ("qwen2", "blk.1.attn_k.bias", "float16", "must be F32, not F16"),
        ("mamba2", "blk.0.ssm_a", "float16", "must be F32, not F16"),
        ("lfm2", "blk.0.shortconv.conv.weight", "float16", "must be F32, not F16"),
    ],
)
def test_tensors_of_a_kind_that_nothing_computes_with_are_refused(
    tmp_path: Path, architecture: str, tensor: str, kind: str, text: str
) -> None:
    keys, tensors = random_model(architecture)
    tensors[tensor] = tensors[tensor].astype(kind)
    assert text in refusal(write_gguf(tmp_path / "f", keys, tensors))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sound_models_of_every_kind_are_let_through(tmp_path: Path, architecture: str) -> None:
    keys, tensors = random_model(architecture)
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and name.endswith((".attn_q.weight", "_embd.weight", "output.weight")):
            tensors[name] = tensor.astype("float16")
    validate_gguf(write_gguf(tmp_path / "f", keys, tensors))


def test_only_models_are_asked_for_blocks_and_heads(tmp_path: Path) -> None:
    keys: dict[str, object] = {"general.architecture": "llama", "llama.block_count": 0}
    assert "block_count" in refusal(write_gguf(tmp_path / "m", keys))
    adapter = lora_adapter(tmp_path / "a", metadata=keys)
    assert validate_gguf(adapter).role == "adapter"
    with pytest.raises(InvalidGguf, match="block_count"):
        validate_gguf(adapter, role="model")
    projector = write_gguf(tmp_path / "p", {**keys, "llama.vision.block_count": 3})
    assert validate_gguf(projector).role == "projector"
    clip = {"general.architecture": "clip", "clip.has_vision_encoder": True}
    assert validate_gguf(write_gguf(tmp_path / "c", clip)).role == "projector"


def test_alignment_has_a_bound(tmp_path: Path) -> None:
    keys: dict[str, object] = {"general.architecture": "llama", "general.alignment": 8192}
    assert "invalid GGUF alignment: 8192" in refusal(write_gguf(tmp_path / "f", keys))


def test_arrays_have_a_bound(tmp_path: Path) -> None:
    key, count = b"general.architecture", (1 << 24) + 1
    data = struct.pack("<4sIQQQ", b"GGUF", 3, 0, 2, len(key)) + key + struct.pack("<IQ", 8, 1)
    data += b"x" + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, count)
    with (tmp_path / "f").open("wb") as file:
        file.write(data)
        file.truncate(len(data) + count)
    assert "16777217 elements exceeds maximum 16777216" in refusal(tmp_path / "f")


def test_versions_and_byte_orders_of_others_are_refused(tmp_path: Path) -> None:
    keys: dict[str, object] = {"general.architecture": "llama"}
    assert "endian" in refusal(write_gguf(tmp_path / "b", keys, order=">"))
    assert "version 4" in refusal(write_gguf(tmp_path / "v", keys, version=4))
    validate_gguf(write_gguf(tmp_path / "two", keys, version=2))


def test_tensors_need_a_name_of_their_own_and_a_size(tmp_path: Path) -> None:
    keys: dict[str, object] = {"general.architecture": "llama"}

    def refused(name: str, tensor: object = ONE) -> str:
        return refusal(write_gguf(tmp_path / "f", keys, {name: tensor}))  # type: ignore[dict-item]

    assert "proper name" in refused("")
    assert "proper name" in refused("n" * 64)
    assert "proper name" in refused("a\0b")
    assert "no elements" in refused("empty", np.ones((0, 4), np.float32))
    path = write_gguf(tmp_path / "f", keys, {"tensor_1": ONE, "tensor_2": ONE})
    path.write_bytes(path.read_bytes().replace(b"tensor_2", b"tensor_1"))
    assert 'tensor "tensor_1" appears twice' in refusal(path)


def test_a_tensor_at_an_odd_offset_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "f", {"general.architecture": "llama"}, {"a": ONE, "b": ONE})
    data = path.read_bytes()
    assert data.count(struct.pack("<IQ", 0, 32)) == 1
    path.write_bytes(data.replace(struct.pack("<IQ", 0, 32), struct.pack("<IQ", 0, 31)))
    assert "is not aligned to 32" in refusal(path)


def test_a_file_that_was_cut_is_refused_wherever_it_was(tmp_path: Path) -> None:
    path = model(tmp_path, tokenizer__ggml__scores=None, tokenizer__ggml__token_type=None)
    data = path.read_bytes()
    header_size = read_gguf(path).data_offset
    for end in [*range(0, header_size, 37), header_size, len(data) - 1]:
        path.write_bytes(data[:end])
        refusal(path)


@pytest.fixture(scope="module")
def valid() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = write_gguf(
            Path(folder, "f"),
            {
                "general.architecture": "llama",
                "general.alignment": 32,
                "llama.block_count": 1,
                "llama.attention.head_count": [4, 4],
                "llama.expert_count": 0,
                "tokenizer.ggml.tokens": ["a", "b", "c"],
                "tokenizer.ggml.bos_token_id": 1,
                "llama.scores": [0.5, 1.5],
            },
            {"a": np.ones((4, 8), np.float32), "b": ONE},
        )
        return path.read_bytes()


def survives(folder: Path, data: bytes) -> None:
    """Whatever the bytes are, the answer is a header or InvalidGguf."""
    path = folder / "fuzzed"
    path.write_bytes(data)
    try:
        header = validate_gguf(path)
        for name in header.metadata:
            array = header.metadata[name]
            if not isinstance(array, (int, float, str)):
                assert len(list(header.elements(array))) == array.count
    except InvalidGguf:
        return


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(data=st.binary(max_size=300))
def test_random_bytes_do_no_harm(folder: Path, data: bytes) -> None:
    survives(folder, data)
    survives(folder, b"GGUF" + data)
    survives(folder, b"GGUF\x03\0\0\0" + data)


@settings(max_examples=400)
@given(data=st.data())
def test_flipped_bits_do_no_harm(folder: Path, valid: bytes, data: st.DataObject) -> None:
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(4, len(valid) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    survives(folder, bytes(changed))


@settings(max_examples=300)
@given(data=st.data())
def test_changed_numbers_do_no_harm(folder: Path, valid: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, len(valid) - 8))
    number = data.draw(st.sampled_from([0, 1, 9, 2**16, 2**31, 2**32 - 1, 2**63, 2**64 - 1]))
    survives(folder, valid[:at] + struct.pack("<Q", number) + valid[at + 8 :])


def test_a_large_vocabulary_takes_little_time(tmp_path: Path) -> None:
    tokens = [f"t{index}" for index in range(256_000)]
    path = write_gguf(
        tmp_path / "f", {"general.architecture": "x", "tokenizer.ggml.tokens": tokens}
    )
    # Far above what it takes, far below what anything quadratic would.
    start = time.perf_counter()
    validate_gguf(path)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"clip.vision.attention.head_count": 0}}, "head_count 0 is not between"),
        ({"metadata": {"clip.vision.attention.head_count": 3}}, "does not divide into 3 heads"),
        ({"metadata": {"clip.vision.patch_size": 0}}, "patch_size 0 is not between"),
        ({"metadata": {"clip.vision.patch_size": 32}}, "has no patch of 32"),
        ({"metadata": {"clip.vision.image_size": 9000}}, "image_size 9000 is not between"),
        ({"metadata": {"clip.vision.image_size": 64}}, "has not 64 places"),
        ({"metadata": {"clip.vision.image_std": [0.5, 0.0, 0.5]}}, "must not be zero"),
        ({"metadata": {"clip.vision.image_mean": [0.5]}}, "three finite numbers"),
        ({"metadata": {"clip.vision.block_count": 1}}, 'needs the tensor "v.blk.0.attn_q.weight"'),
        ({"metadata": {"clip.projector_type": "deepseek4v"}}, "deepseek4v is not supported"),
        ({"metadata": {"general.architecture": "llama"}}, "has keys of clip"),
        ({"metadata": {"clip.vision.attention.layer_norm_epsilon": True}}, "of kind 7, not 6"),
        ({"metadata": {"clip.vision.attention.layer_norm_epsilon": [1.0, 2.0]}}, "kind 9, not 6"),
        ({"metadata": {"clip.vision.patch_size": Typed(10, 8)}}, "of kind 10, not 4"),
        ({"tensors": {"v.patch_embd.bias": np.zeros((3, 4), "float32")}}, "must be 16"),
        ({"tensors": {"v.post_ln.weight": np.zeros(64, "float32")}}, "must be 16"),
        ({"tensors": {"v.class_embd": np.zeros(16, "int32")}}, "is of I32, not of weights"),
        ({"tensors": {"mm.0.weight": None}}, 'needs the tensor "mm.0.weight"'),
        ({"tensors": {"mm.2.weight": np.zeros((64, 32), "float32")}}, '"mm.2.weight" must be 64'),
    ],
)
def test_a_projector_that_would_end_the_process_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tiny_projector(tmp_path / "p.gguf", **change)
    with pytest.raises(InvalidGguf, match=message):
        validate_gguf(path, role="projector")


def test_a_sound_projector_is_taken(tmp_path: Path) -> None:
    assert validate_gguf(tiny_projector(tmp_path / "p.gguf")).role == "projector"
