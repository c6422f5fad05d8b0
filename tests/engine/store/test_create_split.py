"""Models that come in several files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gguf_files import Typed, tiny_llama, write_gguf
from llamawire.engine.store import (
    CreateError,
    CreateRequest,
    GgufArray,
    InvalidGguf,
    Library,
    ModelName,
    StoreError,
    create,
    read_gguf,
    validate_gguf,
)
from llamawire.engine.store.gguf.merge import merge

Make = Callable[..., list[str]]

UINT16 = 2


def split_keys(index: int, count: int, **keys: object) -> dict[str, object]:
    return {"split.no": Typed(UINT16, index), "split.count": Typed(UINT16, count), **keys}


def tensor(rows: int, first: float) -> np.ndarray:
    return np.arange(first, first + rows * 4, dtype="float32").reshape(rows, 4)


def shards(folder: Path, count: int = 3) -> list[Path]:
    """A small model as llama.cpp's tool cuts one: the metadata in the first file, and no more than
    the numbers of the cut in the others."""
    folder.mkdir(exist_ok=True)
    first = {"general.architecture": "test", "general.name": "whole", "test.list": [1, 2, 3]}
    paths = []
    for index in range(count):
        keys = {**(first if index == 0 else {}), **split_keys(index, count)}
        keys["split.tensors.count"] = Typed(5, 2 * count)
        tensors = {f"a{index}.weight": tensor(3, index), f"b{index}": tensor(1, 10 * index)}
        path = folder / f"m-{index + 1:05}-of-{count:05}.gguf"
        paths.append(write_gguf(path, keys, tensors))
    return paths


def upload(library: Library, *paths: Path, prefix: str = "") -> dict[str, str]:
    return {prefix + path.name: library.blobs.put(path.read_bytes()).digest for path in paths}


def test_the_parts_become_one_layer(library: Library, make: Make, tmp_path: Path) -> None:
    lines = make("a", files=upload(library, *shards(tmp_path / "s"), prefix="sub/"))
    assert lines[:3] == ["parsing GGUF"] * 3
    model = library.get(ModelName.parse("a"))
    layer = model.manifest.layers[0].digest
    assert lines[-3:] == [f"creating new layer {layer}", "writing manifest", "success"]
    assert [layer.origin for layer in model.manifest.layers] == [""]
    assert model.weights is not None
    whole = validate_gguf(model.weights)
    assert set(whole.metadata) == {"general.architecture", "general.name", "test.list"}
    names = [tensor.name for tensor in whole.tensors]
    assert names == ["a0.weight", "b0", "a1.weight", "b1", "a2.weight", "b2"]
    data = model.weights.read_bytes()
    for index in range(3):
        found = whole.tensors[2 * index]
        start = whole.data_offset + found.offset
        assert data[start : start + found.size] == tensor(3, index).tobytes()


def test_one_file_is_what_a_writer_would_have_written(tmp_path: Path) -> None:
    parts = [read_gguf(path) for path in shards(tmp_path / "s")]
    merged: list[bytes] = []
    assert list(merge(parts, merged.append))[-1] == sum(t.size for p in parts for t in p.tensors)
    metadata = {"general.architecture": "test", "general.name": "whole", "test.list": [1, 2, 3]}
    tensors = {}
    for index in range(3):
        tensors |= {f"a{index}.weight": tensor(3, index), f"b{index}": tensor(1, 10 * index)}
    whole = write_gguf(tmp_path / "whole", metadata, tensors)
    assert b"".join(merged) == whole.read_bytes()


def test_the_parts_may_have_another_alignment_than_the_whole(tmp_path: Path) -> None:
    first, second = shards(tmp_path / "s", 2)
    keys = {"general.architecture": "test", "general.alignment": 64, **split_keys(0, 2)}
    tensors = {"a": tensor(3, 1), "b": tensor(1, 2)}
    # A file's own tensors lie as its own metadata says.
    padded = write_gguf(first, keys, tensors, alignment=64)
    merged: list[bytes] = []
    list(merge([read_gguf(padded), read_gguf(second)], merged.append))
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(merged))
    gguf = validate_gguf(whole)
    assert [found.offset % 64 for found in gguf.tensors] == [0] * 4
    last = gguf.data_offset + gguf.tensors[2].offset
    assert whole.read_bytes()[last : last + 48] == tensor(3, 1).tobytes()


def test_a_model_that_loads_can_be_cut_and_merged(
    library: Library, make: Make, tmp_path: Path
) -> None:
    """Cut by hand: the first file has all metadata, the second one some of the tensors."""
    whole = read_gguf(tiny_llama(tmp_path / "w", metadata={"general.file_type": 1}))
    with whole.path.open("rb") as file:
        arrays = {}
        for found in whole.tensors:
            file.seek(whole.data_offset + found.offset)
            values = np.frombuffer(file.read(found.size), "float32")
            arrays[found.name] = values.reshape(found.shape[::-1])
    names = list(arrays)
    keys = {
        key: list(whole.elements(value)) if isinstance(value, GgufArray) else value
        for key, value in whole.metadata.items()
    }
    one, two = tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"
    write_gguf(one, {**keys, **split_keys(0, 2)}, {name: arrays[name] for name in names[:5]})
    write_gguf(two, split_keys(1, 2), {name: arrays[name] for name in names[5:]})
    make("a", files=upload(library, one, two))
    model = library.get(ModelName.parse("a"))
    assert (model.config.model_type, model.config.file_type) == ("128K", "F16")
    gguf = model.gguf()
    assert gguf is not None
    assert [found.name for found in gguf.tensors] == names


def test_split_weights_and_a_projector_are_told_apart(
    library: Library, make: Make, tmp_path: Path
) -> None:
    clip = {"general.architecture": "clip", "clip.has_vision_encoder": True}
    projector = write_gguf(tmp_path / "mmproj.gguf", clip)
    make("a", files=upload(library, *shards(tmp_path / "s"), projector))
    model = library.get(ModelName.parse("a"))
    assert len(model.projectors) == 1
    assert model.config.model_families == ("test", "clip")


def test_the_architecture_may_stand_before_the_keys(
    library: Library, make: Make, tmp_path: Path
) -> None:
    paths = [tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"]
    for index, path in enumerate(paths):
        keys = {f"test.{key}": value for key, value in split_keys(index, 2).items()}
        write_gguf(path, {"general.architecture": "test", **keys}, {f"t{index}": tensor(1, 0)})
    make("a", files=upload(library, *paths))
    gguf = library.get(ModelName.parse("a")).gguf()
    assert gguf is not None
    assert list(gguf.metadata) == ["general.architecture"]


def test_a_single_shard_is_a_whole(library: Library, make: Make, tmp_path: Path) -> None:
    keys = {"general.architecture": "test", **split_keys(0, 1)}
    make("a", files=upload(library, write_gguf(tmp_path / "x.gguf", keys)))
    assert library.get(ModelName.parse("a")).weights is not None


def refused(make: Make, files: dict[str, str]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        make("x", files=files)
    return caught.value


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"a.gguf": 0}, 'split GGUF "a.gguf" must use llama.cpp split filename pattern'),
        ({"m-1-of-2.gguf": 0}, "must use llama.cpp split filename pattern"),
        ({"m-00001-of-00004.gguf": 0},
         'split GGUF "m-00001-of-00004.gguf" filename count 4 does not match metadata count 3'),
        ({"m-00002-of-00003.gguf": 0},
         'split GGUF "m-00002-of-00003.gguf" filename index 2 does not match metadata index 1'),
        ({"m-00001-of-00003.gguf": 0, "m-00003-of-00003.gguf": 2},
         'split GGUF "m-00001-of-00003.gguf" has 2 shards, expected 3'),
        ({"a-00001-of-00003.gguf": 0, "b-00002-of-00003.gguf": 1, "a-00003-of-00003.gguf": 2},
         'split GGUF "a-00001-of-00003.gguf" has 2 shards, expected 3'),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(
    library: Library, make: Make, tmp_path: Path, names: dict[str, int], text: str
) -> None:
    digests = list(upload(library, *shards(tmp_path / "s")).values())
    error = refused(make, {name: digests[index] for name, index in names.items()})
    assert text in str(error)
    assert isinstance(error, CreateError)
    assert (error.code, error.reason) == ("INTERNAL", "CREATE_FAILED")


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"split.no": None}, "is missing split.no metadata"),
        ({"split.tensors.count": 9}, "has 1 tensors, expected 9"),
        ({"split.no": "0"}, "split.no must be an integer"),
        ({"split.count": "2"}, "split.count must be an integer"),
        ({"split.count": 2.0}, "split.count must be an integer"),
        ({"split.count": True}, "split.count must be an integer"),
    ],
)
def test_odd_numbers_of_a_split_are_refused(
    library: Library, make: Make, tmp_path: Path, keys: dict[str, object], text: str
) -> None:
    merged = {"general.architecture": "test", **split_keys(0, 2), **keys}
    given = {key: value for key, value in merged.items() if value is not None}
    one = write_gguf(tmp_path / "m-00001-of-00002.gguf", given, {"a": tensor(1, 0)})
    two = write_gguf(tmp_path / "m-00002-of-00002.gguf", split_keys(1, 2))
    assert text in str(refused(make, upload(library, one, two)))


@pytest.mark.parametrize(
    ("second", "text"),
    [
        ({"a0.weight": tensor(1, 0)}, "appears twice"),
        ({"x" * 70: tensor(1, 0)}, "does not have a proper name"),
    ],
)
def test_the_whole_is_validated(
    library: Library, make: Make, tmp_path: Path, second: dict[str, np.ndarray], text: str
) -> None:
    one, two = shards(tmp_path / "s", 2)
    write_gguf(two, split_keys(1, 2), {**second, "c": tensor(1, 0), "d": tensor(1, 0)})
    write_gguf(one, {"general.architecture": "t", **split_keys(0, 2)}, {"a0.weight": tensor(1, 0)})
    error = refused(make, upload(library, one, two))
    assert isinstance(error, InvalidGguf)
    assert text in str(error)


def test_parts_of_different_formats_are_refused(
    library: Library, make: Make, tmp_path: Path
) -> None:
    one, two = shards(tmp_path / "s", 2)
    write_gguf(two, split_keys(1, 2), {"c": tensor(1, 0), "d": tensor(1, 0)}, order=">")
    assert "byte order" in str(refused(make, upload(library, one, two)))


def test_leaving_in_the_middle_leaves_nothing(library: Library, tmp_path: Path) -> None:
    files = upload(library, *shards(tmp_path / "s"))
    before = {entry.name for entry in library.blobs.files()}
    steps = create(library, CreateRequest("a", files=files), lambda text: None)
    while next(steps).status != "merging split GGUF":
        pass
    del steps
    assert {entry.name for entry in library.blobs.files()} == before
    assert library.list() == []
