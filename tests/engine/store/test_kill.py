"""A process may die at any moment; whoever comes next finds the old state or the new one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llamawire.engine.store import (
    CreateRequest,
    Library,
    ModelName,
    ModelNotFound,
    create,
    normalize_digest,
)
from llamawire.engine.store.blobs import digest_of_file

KILLED = 9
STEPS_MAX = 30

Action = Callable[[Library], None]


def make(library: Library, system: str) -> None:
    list(create(library, CreateRequest("a", base="test", system=system), lambda text: None))


def make_new(library: Library) -> None:
    make(library, "new")


def make_old(library: Library) -> None:
    make(library, "old")


def copy_over(library: Library) -> None:
    """`a` is there already, and what only it used goes."""
    library.copy(ModelName.parse("test"), ModelName.parse("a"))


def delete(library: Library) -> None:
    library.delete(ModelName.parse("a"))


def die_at(step: int, root: Path, action: Action) -> None:
    """Does it and dies just before or just after one of its renames and removals."""
    count = 0

    def counted(change: object, *arguments: object) -> None:
        nonlocal count
        for _ in ("before", "after"):
            if count == step:
                os._exit(KILLED)
            count += 1
            if count % 2:
                change(*arguments)  # type: ignore[operator]

    replace, unlink = os.replace, Path.unlink
    os.replace = lambda *paths: counted(replace, *paths)
    Path.unlink = lambda path, missing_ok=False: counted(  # type: ignore[method-assign]
        unlink, path, missing_ok
    )
    action(Library(root))


def system_of(library: Library) -> str | None:
    """The system prompt of `a`; None if there is no such model."""
    try:
        return library.get(ModelName.parse("a")).system
    except ModelNotFound:
        return None


def check_whole(library: Library) -> None:
    """Every model has all its files, and every file is what its name says."""
    for path in library.manifests.files():
        name = ModelName.from_path(path.relative_to(library.manifests.folder))
        for digest in library.get(name).manifest.digests:
            assert digest_of_file(library.blobs.require(digest)) == digest


def check_nothing_is_left_over(library: Library) -> None:
    """After the clean-up of the next day the files are those that the models name."""
    library.prune(clock=lambda: 4e9)
    used = {
        digest for model in library.list() for digest in library.entry(model.name).manifest.digests
    }
    assert {normalize_digest(entry.name) for entry in library.blobs.files()} == used


@pytest.mark.parametrize(
    ("action", "old", "new", "steps_min"),
    [(make_new, "old", "new", 6), (copy_over, "old", "", 4), (delete, "old", None, 4)],
)
def test_who_dies_leaves_the_old_model_or_the_new(
    library: Library,
    test_model: ModelName,
    action: Action,
    old: str | None,
    new: str | None,
    steps_min: int,
) -> None:
    context = multiprocessing.get_context("spawn")
    before = library.get(test_model).digest
    for step in range(STEPS_MAX):
        make_old(library)
        process = context.Process(target=die_at, args=(step, library.root, action))
        process.start()
        process.join()
        assert system_of(library) in (old, new)
        assert library.get(test_model).digest == before
        check_whole(library)
        if process.exitcode != KILLED:
            break
    else:
        pytest.fail("it never came to its end")
    assert process.exitcode == 0
    assert step >= steps_min
    assert system_of(library) == new
    check_nothing_is_left_over(library)


@pytest.mark.parametrize("action", [copy_over, delete])
def test_what_a_death_left_undone_can_be_done_again(
    library: Library, test_model: ModelName, action: Action
) -> None:
    context = multiprocessing.get_context("spawn")
    for step in (0, 1, 2, 3):
        make_old(library)
        process = context.Process(target=die_at, args=(step, library.root, action))
        process.start()
        process.join()
        if system_of(library) is not None:
            action(library)
        make_old(library)
        assert system_of(library) == "old"
        check_whole(library)
