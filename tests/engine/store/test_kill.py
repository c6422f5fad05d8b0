"""A process may die at any moment; whoever comes next finds the old state or the new one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from llamawire.engine.store import CreateRequest, Library, ModelName, create

KILLED = 9


def make(library: Library, system: str) -> None:
    list(create(library, CreateRequest("a", base="test", system=system), lambda text: None))


def die_at(step: int, root: Path) -> None:
    """Creates a model and dies just before or just after one of its renames and removals."""
    count = 0

    def counted(action: object, *arguments: object) -> None:
        nonlocal count
        for _ in ("before", "after"):
            if count == step:
                os._exit(KILLED)
            count += 1
            if count % 2:
                action(*arguments)  # type: ignore[operator]

    replace, unlink = os.replace, Path.unlink
    os.replace = lambda *paths: counted(replace, *paths)
    Path.unlink = lambda path, missing_ok=False: counted(  # type: ignore[method-assign]
        unlink, path, missing_ok
    )
    make(Library(root), "new")


def test_a_create_that_dies_leaves_the_old_model_or_the_new(
    library: Library, test_model: ModelName
) -> None:
    context = multiprocessing.get_context("spawn")
    for step in range(20):
        make(library, "old")
        process = context.Process(target=die_at, args=(step, library.root))
        process.start()
        process.join()
        assert library.get(ModelName.parse("a")).system in ("old", "new")
        assert len(library.list()) == 2
        if process.exitcode != KILLED:
            break
    else:
        pytest.fail("the create never came to its end")
    assert step > 5
    assert library.get(ModelName.parse("a")).system == "new"
    library.prune(clock=lambda: 4e9)
    used = library.get(ModelName.parse("a")).manifest.digests
    used |= library.get(test_model).manifest.digests
    assert {entry.name.replace("-", ":") for entry in library.blobs.files()} == used
