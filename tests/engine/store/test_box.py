from __future__ import annotations

import concurrent.futures
import os
from pathlib import Path

import pytest

from gguf_files import lora_adapter, tiny_llama, tiny_projector
from llamawire.engine.store import (
    Box,
    CreateRequest,
    Library,
    ModelName,
    ModelNotFound,
    StoreReadOnly,
    create,
)

TINY, VISION = ModelName.parse("tiny"), ModelName.parse("tiny-vision")
BOXED = ["tiny-vision:latest", "tiny:latest"]
MODELFILE = '''FROM ./tiny.gguf
TEMPLATE """{{ .Prompt }}
"""
SYSTEM You are tiny.
PARAMETER stop <eos>
PARAMETER temperature 0.5
MESSAGE user hi
LICENSE MIT
'''
VISION_MODELFILE = """FROM ./tiny.gguf
FROM ./tiny-vision.gguf
ADAPTER ./tiny-vision-adapter.gguf
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "Modelfile").write_text(MODELFILE)
    (folder / "Modelfile.vision").write_text(VISION_MODELFILE)
    tiny_llama(folder / "tiny.gguf")
    tiny_projector(folder / "tiny-vision.gguf")
    lora_adapter(folder / "tiny-vision-adapter.gguf")
    os.utime(folder / "tiny.gguf", (1000, 1000))
    return folder


@pytest.fixture
def boxed(folder: Path, tmp_path: Path) -> Library:
    return Library(tmp_path / "models", Box.open(folder))


def shown(library: Library) -> list[str]:
    return sorted(model.name.display for model in library.list())


def test_the_models_in_the_box_are_there_without_a_folder(boxed: Library, folder: Path) -> None:
    assert shown(boxed) == BOXED
    model = boxed.get(ModelName.parse("TINY"))
    assert model.weights == folder / "tiny.gguf"
    assert (model.template, model.system) == ("{{ .Prompt }}\n", "You are tiny.")
    assert model.parameters == {"stop": ["<eos>"], "temperature": 0.5}
    assert [(item.role, item.content) for item in model.messages] == [("user", "hi")]
    assert model.licenses == ("MIT",)
    assert (model.details.family, model.config.model_format) == ("llama", "gguf")
    assert model.modified_at.timestamp() == 1000
    assert model.digest in [listed.digest for listed in boxed.list()]
    assert not boxed.root.exists()


def test_the_model_that_sees_is_the_same_weights_with_files_beside_them(
    boxed: Library, folder: Path
) -> None:
    model = boxed.get(ModelName.parse("Tiny-Vision"))
    assert model.weights == folder / "tiny.gguf"
    assert model.projectors == (folder / "tiny-vision.gguf",)
    assert model.adapters == (folder / "tiny-vision-adapter.gguf",)
    assert model.config.model_families == ("llama", "clip")
    assert model.manifest.layers[0] == boxed.get(TINY).manifest.layers[0]
    assert "vision" in model.capabilities()
    assert "vision" not in boxed.get(TINY).capabilities()


@pytest.mark.parametrize("name", [TINY, VISION])
def test_a_model_in_the_box_cannot_be_deleted(boxed: Library, name: ModelName) -> None:
    with pytest.raises(StoreReadOnly, match="LLAMAWIRE_NO_DEFAULT_MODEL=1"):
        boxed.delete(name)
    assert shown(boxed) == BOXED


def test_a_copy_of_the_model_that_sees_has_all_its_files(boxed: Library, folder: Path) -> None:
    boxed.copy(VISION, ModelName.parse("mine"))
    model = Library(boxed.root).get(ModelName.parse("mine"))
    for copies, name in (
        (model.projectors, "tiny-vision"),
        (model.adapters, "tiny-vision-adapter"),
    ):
        (copy,) = copies
        assert copy.parent == boxed.blobs.folder
        assert copy.read_bytes() == (folder / f"{name}.gguf").read_bytes()


def test_a_copy_has_its_own_blobs_and_the_same_digest(boxed: Library, folder: Path) -> None:
    boxed.copy(TINY, ModelName.parse("mine"))
    assert boxed.get(ModelName.parse("mine")).digest == boxed.get(TINY).digest
    alone = Library(boxed.root)
    model = alone.get(ModelName.parse("mine"))
    assert model.weights is not None
    assert model.weights.read_bytes() == (folder / "tiny.gguf").read_bytes()
    assert model.system == "You are tiny."
    boxed.delete(ModelName.parse("mine"))
    assert list(alone.blobs.files()) == []
    assert (folder / "tiny.gguf").exists()


def test_copies_and_deletes_at_the_same_time_do_not_meet(boxed: Library) -> None:
    def copy_and_delete(number: int) -> None:
        name = ModelName.parse(f"copy-{number}")
        boxed.copy(TINY, name)
        assert boxed.get(name).system == "You are tiny."
        boxed.delete(name)

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(copy_and_delete, range(60)))
    assert not any(name.startswith("copy-") for name in shown(boxed))


def test_the_folder_wins_over_the_box(boxed: Library) -> None:
    request = CreateRequest("tiny", base="tiny", system="Mine.")
    lines = [line.status for line in create(boxed, request, lambda text: None)]
    assert lines[-1] == "success"
    assert all(line.startswith("creating new layer") for line in lines[:-2])
    model = boxed.get(TINY)
    assert model.system == "Mine."
    assert model.details.parent_model == "tiny:latest"
    assert shown(boxed) == BOXED
    boxed.delete(TINY)
    assert boxed.get(TINY).system == "You are tiny."


def test_an_adapter_goes_with_the_model_in_the_box(boxed: Library, tmp_path: Path) -> None:
    adapter = boxed.blobs.put(lora_adapter(tmp_path / "a").read_bytes()).digest
    request = CreateRequest("mine", base="tiny", adapters={"a.gguf": adapter})
    list(create(boxed, request, lambda text: None))
    model = boxed.get(ModelName.parse("mine"))
    assert model.adapters == (boxed.blobs.path(adapter),)
    assert model.weights is not None
    assert model.weights.parent == boxed.blobs.folder


def test_pruning_knows_nothing_of_the_box(boxed: Library) -> None:
    boxed.copy(TINY, ModelName.parse("mine"))
    assert boxed.prune(clock=lambda: 4e9) == ()
    assert shown(boxed) == ["mine:latest", *BOXED]


@pytest.mark.parametrize(
    "name", ["tiny.gguf", "tiny-vision.gguf", "tiny-vision-adapter.gguf", "Modelfile.vision"]
)
def test_a_box_without_a_file_is_an_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError):
        Box.open(folder)


def test_a_broken_file_in_the_box_leaves_the_rest_of_the_list(boxed: Library, folder: Path) -> None:
    boxed.copy(TINY, ModelName.parse("mine"))
    (folder / "tiny.gguf").write_bytes(b"torn")
    again = Library(boxed.root, Box.open(folder))
    assert shown(again) == ["mine:latest"]
    with pytest.raises(ModelNotFound):
        again.get(ModelName.parse("other"))
