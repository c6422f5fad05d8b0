from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from gguf_files import Typed, tiny_llama, write_gguf
from llamawire.engine.store import InvalidGguf, human_count, read_gguf
from llamawire.engine.store.gguf import Gguf, GgufArray
from llamawire.engine.store.gguf.tables import FILE_TYPES, TENSOR_TYPES

METADATA: dict[str, object] = {
    "general.architecture": "llama",
    "llama.context_length": 4096,
    "llama.epsilon": 1e-5,
    "llama.third": 1 / 3,
    "llama.flag": True,
    "llama.big": 1 << 40,
    "llama.negative": -3,
    "llama.byte": Typed(0, 255),
    "llama.double": Typed(12, 1 / 3),
    "llama.heads": [8, 0, 4],
    "llama.scales": [0.5, 0.1],
    "llama.names": ["a", "", "ü"],
    "llama.flags": [True, False],
    "llama.empty": Typed(8, []),
    "tokenizer.chat_template": "{{ messages }}",
}


def as_list(header: Gguf, name: str) -> list[object]:
    array = header.array(name)
    assert array is not None
    return list(header.elements(array))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
def test_values_of_all_kinds_are_read(tmp_path: Path, order: str, version: int) -> None:
    path = write_gguf(tmp_path / "f", METADATA, order=order, version=version)
    header = read_gguf(path)
    assert (header.version, header.byte_order) == (version, order)
    assert list(header.metadata) == list(METADATA)
    assert header.architecture == "llama"
    assert header.integer("context_length") == 4096
    assert header.number("epsilon") == 1e-5
    assert header.metadata["llama.third"] == 0.33333334
    assert header.flag("flag") is True
    assert header.integer("big") == 1 << 40
    assert header.integer("negative") == -3
    assert header.integer("byte") == 255
    assert header.number("double") == 1 / 3
    assert header.integers("heads") == [8, 0, 4]
    assert header.integers("context_length") == [4096]
    assert as_list(header, "scales") == [0.5, 0.1]
    assert as_list(header, "names") == ["a", "", "ü"]
    assert as_list(header, "flags") == [True, False]
    assert as_list(header, "empty") == []


def test_the_first_version_has_short_counts(tmp_path: Path) -> None:
    key, value = b"general.architecture\0", b"old\0"
    text = struct.pack("<4sIII", b"GGUF", 1, 0, 1)
    text += struct.pack("<I", len(key)) + key + struct.pack("<II", 8, len(value)) + value
    (tmp_path / "f").write_bytes(text)
    assert read_gguf(tmp_path / "f").architecture == "old"


def test_getters_are_strict_about_types(tmp_path: Path) -> None:
    header = read_gguf(write_gguf(tmp_path / "f", METADATA))
    assert header.text("context_length") is None
    assert header.integer("flag") is None
    assert header.integer("epsilon") is None
    assert header.number("flag") is None
    assert header.flag("context_length") is None
    assert header.array("context_length") is None
    assert header.integers("scales") is None
    assert header.integers("names") is None
    assert header.integer("absent") is None
    assert header.number("context_length") == 4096


def test_keys_without_a_known_prefix_get_the_architecture(tmp_path: Path) -> None:
    header = read_gguf(write_gguf(tmp_path / "f", METADATA))
    assert header.key("context_length") == "llama.context_length"
    assert header.key("general.name") == "general.name"
    assert header.key("tokenizer.ggml.model") == "tokenizer.ggml.model"
    nameless = read_gguf(write_gguf(tmp_path / "n", {"a": 1}))
    assert nameless.architecture == "unknown"
    assert nameless.key("a") == "unknown.a"


def test_the_head_ends_before_the_tokenizer(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "f")
    head = read_gguf(path, only_head=True)
    assert head.integer("context_length") == 4096
    assert not any(key.startswith("tokenizer.") for key in head.metadata)
    assert head.tensors == ()


def test_the_largest_array_is_passed_over_and_read_on_demand(tmp_path: Path) -> None:
    tokens = [f"token{index}" * (index % 7) + str(index) for index in range(200_000)]
    path = write_gguf(tmp_path / "f", {"general.architecture": "x", "t": tokens, "after": 1})
    header = read_gguf(path)
    array = header.metadata["t"]
    assert isinstance(array, GgufArray)
    assert array.count == 200_000
    assert list(header.elements(array)) == tokens
    assert header.metadata["after"] == 1


def test_our_reader_agrees_with_the_gguf_package(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(123)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_head_count_kv([1, 2])
    writer.add_token_list(["a", "b"])
    writer.add_bool("llama.yes", True)
    writer.add_tensor("token_embd.weight", np.ones((3, 32), dtype=np.float32))
    writer.add_tensor("half", np.ones((2, 3, 4), dtype=np.float16))
    quantized = gguf.quantize(np.ones((3, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("q", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs, ours = gguf.GGUFReader(path), read_gguf(path)
    assert [tensor.name for tensor in theirs.tensors] == [tensor.name for tensor in ours.tensors]
    for their, our in zip(theirs.tensors, ours.tensors, strict=True):
        assert tuple(their.shape.tolist()) == our.shape
        assert (their.tensor_type.name, int(their.n_elements)) == (our.type_name, our.elements)
        assert (int(their.n_bytes), int(their.data_offset)) == (
            our.size,
            ours.data_offset + our.offset,
        )
    assert ours.integer("context_length") == 123
    assert ours.number("attention.layer_norm_rms_epsilon") == 1e-6
    assert ours.integers("attention.head_count_kv") == [1, 2]
    assert as_list(ours, "tokenizer.ggml.tokens") == ["a", "b"]
    assert ours.flag("yes") is True


def test_the_gguf_package_reads_our_test_files(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "f", dtype="float16")
    theirs, ours = gguf.GGUFReader(path), read_gguf(path)
    assert [int(tensor.data_offset) for tensor in theirs.tensors] == [
        ours.data_offset + tensor.offset for tensor in ours.tensors
    ]
    assert ours.parameter_count == sum(int(tensor.n_elements) for tensor in theirs.tensors)
    assert set(ours.metadata) == {key for key in theirs.fields if not key.startswith("GGUF.")}


def test_sizes_of_tensor_types_agree_with_the_gguf_package() -> None:
    for kind, sizes in gguf.GGML_QUANT_SIZES.items():
        # The package has an old layout of Q8_1, which no file contains.
        if kind.name != "Q8_1":
            assert TENSOR_TYPES[int(kind)] == (kind.name, *sizes)
    for file_type in gguf.LlamaFileType:
        name = file_type.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        assert FILE_TYPES.get(int(file_type), "GUESSED") == name


def header(tensors: int = 0, keys: int = 0, version: int = 3) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, tensors, keys)


def key(kind: int, value: bytes = b"", name: bytes = b"k") -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


def tensor(kind: int = 0, shape: tuple[int, ...] = (1,), offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return struct.pack("<Q", 1) + b"t" + dimensions + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "invalid file magic"),
        (b"GGU", "invalid file magic"),
        (b"GGML" + bytes(20), "invalid file magic"),
        (b"GGUF", "unexpected EOF"),
        (header(version=0), "invalid version: 0"),
        (header()[:-1], "unexpected EOF"),
        (header(keys=1), "unexpected EOF"),
        (header(keys=1 << 40), "more than the maximum of 16384"),
        (header(tensors=1 << 40), "more than the maximum of 65536"),
        (header(keys=1) + key(13), "invalid type: 13"),
        (header(keys=1) + key(9, struct.pack("<IQ", 9, 1)), "invalid array type: 9"),
        (
            header(keys=1) + key(9, struct.pack("<IQ", 0, (64 << 20) + 1)),
            "GGUF array size 67108865 exceeds maximum 67108864",
        ),
        (header(keys=1) + key(9, struct.pack("<IQ", 8, 1 << 20)), "unexpected EOF"),
        (
            header(keys=1) + key(8, struct.pack("<Q", (16 << 20) + 1)),
            "GGUF string length 16777217 exceeds maximum 16777216",
        ),
        (header(keys=2) + key(0, b"\1") * 2, 'GGUF key "k" appears twice'),
        (
            header(keys=1) + key(4, bytes(4), b"general.alignment"),
            "invalid GGUF alignment: 0",
        ),
        (header(tensors=1) + tensor(shape=(1,) * 5), 'tensor "t" dimensions 5 exceeds maximum 4'),
        (header(tensors=1) + tensor(kind=99), 'tensor "t" size overflow'),
        (header(tensors=1) + tensor(shape=(1 << 40, 1 << 40)), 'tensor "t" size overflow'),
        (header(tensors=1) + tensor(shape=((1 << 64) - 1,)), 'tensor "t" size overflow'),
        (header(tensors=1) + tensor(kind=8, shape=(33,)), "rows of 33 elements"),
        (
            header(tensors=1) + tensor(shape=(8,)),
            'tensor "t" offset+size (96) exceeds file size (57)',
        ),
        (
            header(tensors=1) + tensor(offset=(1 << 64) - 32),
            'tensor "t" offset+size (18446744073709551652) exceeds file size (57)',
        ),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(InvalidGguf) as caught:
        read_gguf(tmp_path / "f")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_500, "2K"),
        (125_000_000, "125M"),
        (500_500_000, "500.50M"),
        (2_850_000_000, "2.9B"),
        (8_000_000_000, "8B"),
        (8_030_261_248, "8.0B"),
    ],
)
def test_parameters_are_counted_as_people_do(count: int, text: str) -> None:
    assert human_count(count) == text
