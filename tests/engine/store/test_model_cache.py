"""A model is read once, and again when anything that it is made of has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llamawire.engine.store import Library, ModelName, ModelNotFound

Make = Callable[..., list[str]]

A = ModelName.parse("a")


@pytest.fixture
def model(make: Make, test_model: ModelName) -> None:
    make("a", base="test", system="old")


def text_blob(library: Library, text: str) -> Path:
    (path,) = (
        Path(entry.path)
        for entry in library.blobs.files()
        if Path(entry.path).read_bytes() == text.encode()
    )
    return path


@pytest.mark.usefixtures("model")
def test_what_has_not_changed_is_not_read_again(library: Library, make: Make) -> None:
    first = library.get(A)
    assert library.get(A) is first
    # Another model in the same folder is no change of this one's files; it may be reread.
    make("b", base="test")
    assert library.get(A).digest == first.digest


@pytest.mark.usefixtures("model")
def test_a_new_manifest_counts_at_once(library: Library, make: Make) -> None:
    assert library.get(A).system == "old"
    make("a", base="test", system="new")
    assert library.get(A).system == "new"
    # By another process, which writes it in place as Ollama does.
    path = library.manifests.path(A)
    path.write_bytes(path.read_bytes() + b"\n")
    assert library.get(A).digest != library.get(ModelName.parse("test")).digest
    library.delete(A)
    with pytest.raises(ModelNotFound):
        library.get(A)


@pytest.mark.usefixtures("model")
def test_a_file_that_is_edited_or_gone_counts_at_once(library: Library) -> None:
    assert library.get(A).system == "old"
    path = text_blob(library, "old")
    path.write_text("odd")
    os.utime(path, ns=(1, 1))
    assert library.get(A).system == "odd"
    path.unlink()
    with pytest.raises(ModelNotFound):
        library.get(A)
    path.write_text("old")
    assert library.get(A).system == "old"


@pytest.mark.usefixtures("model")
def test_a_name_in_another_case_finds_the_nearer_one(library: Library) -> None:
    other = ModelName.parse("A")
    assert library.get(other).name == A
    assert library.get(other) is library.get(other)
    # Only somebody who knows nothing of our spelling makes a second one.
    path = library.manifests.path(other)
    path.parent.mkdir()
    path.write_bytes(library.manifests.read(ModelName.parse("test")))
    assert library.get(other).name == other
    assert library.get(A).system == "old"
