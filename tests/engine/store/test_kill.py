"""A process may die at any moment; whoever comes next finds the old state or the new one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.store.dying import KILLED, STEPS_MAX, dying
from llamawire.engine.store import (
    CreateRequest,
    InvalidDigest,
    Library,
    ModelName,
    ModelNotFound,
    create,
    normalize_digest,
)
from llamawire.engine.store.blobs import digest_of_file

NAME = ModelName.parse("a")
PARTS = tuple(bytes([number]) * 5000 for number in range(3))

Action = Callable[[Path], None]


def make(library: Library, system: str) -> None:
    list(create(library, CreateRequest("a", base="test", system=system), lambda text: None))


def make_new(root: Path) -> None:
    make(Library(root), "new")


def copy_over(root: Path) -> None:
    """`a` is there already, and what only it used goes."""
    Library(root).copy(ModelName.parse("test"), NAME)


def delete(root: Path) -> None:
    Library(root).delete(NAME)


def upload(root: Path) -> None:
    """Bytes that no model has yet."""
    with Library(root).blobs.writer() as writer:
        for part in PARTS:
            writer.write(part)
        writer.commit()


def clean_up(root: Path) -> None:
    """An upload that nobody has used goes after a day."""
    Library(root).prune(clock=lambda: 4e9)


def system_of(library: Library) -> str | None:
    """The system prompt of `a`; None if there is no such model."""
    try:
        return library.get(NAME).system
    except ModelNotFound:
        return None


def check_whole(library: Library) -> None:
    """Every model has all its files, and every file is what its name says."""
    for path in library.manifests.files():
        name = ModelName.from_path(path.relative_to(library.manifests.folder))
        for digest in library.get(name).manifest.digests:
            library.blobs.require(digest)
    for entry in library.blobs.files():
        with contextlib.suppress(InvalidDigest):
            assert digest_of_file(Path(entry.path)) == normalize_digest(entry.name)


def check_nothing_is_left_over(library: Library) -> None:
    """After the next start, and the clean-up of the next day, the files are the models'."""
    library.remove_abandoned()
    library.prune(clock=lambda: 4e9)
    used = {
        digest for model in library.list() for digest in library.entry(model.name).manifest.digests
    }
    assert {normalize_digest(entry.name) for entry in library.blobs.files()} == used


@pytest.mark.parametrize(
    ("action", "old", "new", "steps_min"),
    [
        (make_new, "old", "new", 20),
        (copy_over, "old", "", 9),
        (delete, "old", None, 5),
        (upload, "old", "old", 9),
        (clean_up, "old", "old", 4),
    ],
)
def test_who_dies_at_any_step_leaves_the_old_model_or_the_new(
    library: Library,
    test_model: ModelName,
    action: Action,
    old: str | None,
    new: str | None,
    steps_min: int,
) -> None:
    before = library.get(test_model).digest
    for step in range(STEPS_MAX):
        make(library, "old")
        if action is clean_up:
            upload(library.root)
        process = dying(step, action, library.root)
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


@pytest.mark.parametrize("action", [make_new, copy_over, delete])
def test_what_a_death_left_undone_can_be_done_again(
    library: Library, test_model: ModelName, action: Action
) -> None:
    for step in range(0, STEPS_MAX, 3):
        make(library, "old")
        process = dying(step, action, library.root)
        process.join()
        if system_of(library) is not None:
            action(library.root)
        check_whole(library)
        check_nothing_is_left_over(library)
        if process.exitcode != KILLED:
            break
