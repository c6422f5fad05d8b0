"""What is still being made goes with its maker, and nothing of a living one's does."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from llamawire.engine.store import Library
from llamawire.engine.store.temps import locked_folder


def write_and_wait(root: Path, ready: Connection) -> None:
    """Is in the middle of a blob and of a folder until it is killed."""
    library = Library(root)
    with library.blobs.writer() as writer, locked_folder(library.blobs.folder) as folder:
        writer.write(b"x" * 1000)
        (folder / "weights.gguf").write_bytes(b"y" * 1000)
        ready.send(None)
        signal.pause()


def names(library: Library) -> list[str]:
    return sorted(os.listdir(library.blobs.folder))


def test_what_a_dead_process_was_making_goes_at_the_next_start(library: Library) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=write_and_wait, args=(library.root, theirs))
    process.start()
    ours.recv()
    before = names(library)
    assert len(before) == 2
    # It lives, and what it is making is younger than anything else, but it is locked.
    assert library.remove_abandoned() == ()
    assert names(library) == before
    process.kill()
    process.join()
    assert sorted(library.remove_abandoned()) == before
    assert names(library) == []


def test_a_blob_that_is_finished_stays(library: Library) -> None:
    with library.blobs.writer() as writer:
        writer.write(b"x")
        assert library.remove_abandoned() == ()
        blob = writer.commit()
    assert library.remove_abandoned() == ()
    assert library.blobs.read(blob.digest) == b"x"


def test_a_link_with_such_a_name_is_not_followed(library: Library, tmp_path: Path) -> None:
    library.blobs.folder.mkdir(parents=True)
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (library.blobs.folder / "llamawire-temp-link").symlink_to(kept)
    assert library.remove_abandoned() == ()
    assert kept.read_text() == "kept"
