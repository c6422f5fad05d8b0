from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from llamawire.engine.store import Library, ModelName

Make = Callable[..., list[str]]

ORPHAN = "sha256-" + "0" * 64


def place(library: Library, name: str, age_s: float) -> Path:
    path = library.root / "blobs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_an_old_orphan_goes_and_a_young_one_stays(library: Library, test_model: ModelName) -> None:
    old = place(library, ORPHAN, 7200)
    young = place(library, "sha256-" + "1" * 64, 60)
    partial = place(library, f"{ORPHAN}-partial", 7200)
    stray = place(library, "notes.txt", 7200)
    (library.root / "blobs" / "folder").mkdir()
    for entry in library.blobs.files():
        if entry.path != str(young):
            os.utime(entry.path, (1, 1))
    removed = library.prune()
    assert set(removed) == {old.name, partial.name, stray.name}
    assert young.exists()
    assert library.get(test_model).weights is not None
    assert (library.root / "blobs" / "folder").is_dir()


def test_nothing_goes_if_a_manifest_cannot_be_read(
    library: Library, make: Make, test_model: ModelName
) -> None:
    orphan = place(library, ORPHAN, 7200)
    make("a", base="test")
    library.manifests.path(ModelName.parse("a")).write_text("{torn")
    assert library.prune() == ()
    library.manifests.path(ModelName.parse("a")).unlink()
    stray = library.manifests.path(ModelName.parse("a")).with_name(".DS_Store")
    stray.touch()
    assert library.prune() == ()
    assert orphan.exists()
    stray.unlink()
    assert library.prune() == (ORPHAN,)


def test_empty_folders_go(library: Library) -> None:
    (library.root / "manifests" / "h" / "n" / "m").mkdir(parents=True)
    library.prune()
    assert not (library.root / "manifests").exists()


def test_blobs_of_the_oldest_format_are_renamed(library: Library) -> None:
    old = place(library, ORPHAN.replace("-", ":"), 7200)
    library.rename_old_blobs()
    assert not old.exists()
    assert (library.root / "blobs" / ORPHAN).exists()


def test_age_is_measured_by_the_clock_that_is_given(library: Library) -> None:
    place(library, ORPHAN, 0)
    assert library.prune() == ()
    assert library.prune(clock=lambda: time.time() + 3700) == (ORPHAN,)
