"""Two servers on one folder: whatever they do at once, every model that is there is whole."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

from llamawire.engine.store import (
    BlobNotFound,
    CreateError,
    CreateRequest,
    Library,
    ModelName,
    ModelNotFound,
    create,
    normalize_digest,
)
from llamawire.engine.store.blobs import digest_of_file
from llamawire.engine.store.errors import InvalidDigest

PROCESSES = 2
ROUNDS = 150
NAMES = ("a", "b", "c")
# What may come of the other one's taking away what we were about to use; nothing else may.
EXPECTED = (ModelNotFound, BlobNotFound, CreateError, FileNotFoundError)


def work(root: Path, seed: int) -> None:
    """Creates, copies, deletes, lists and prunes, as chance has it."""
    library = Library(root)
    chance = random.Random(seed)
    done = dict.fromkeys(("create", "copy", "delete", "prune"), 0)
    for _ in range(ROUNDS):
        name, other = (ModelName.parse(chance.choice(NAMES)) for _ in range(2))
        action = chance.choice(("create", "create", "copy", "delete", "list", "prune"))
        try:
            if action == "create":
                system = f"system {chance.randrange(3)}"
                base = chance.choice(("base", other.display))
                request = CreateRequest(name.display, base=base, system=system)
                list(create(library, request, lambda text: None))
            elif action == "copy":
                library.copy(name, other)
            elif action == "delete":
                library.delete(name)
            elif action == "prune":
                # Whatever is not used is old enough: the worst that a clean-up can do.
                library.prune(clock=lambda: time.time() + 7200)
            else:
                assert any(model.name.display == "base:latest" for model in library.list())
                continue
        except EXPECTED:
            continue
        done[action] += 1
    assert all(done.values()), done


def test_two_processes_on_one_folder_leave_it_whole(library: Library, minimal_gguf: bytes) -> None:
    blob = library.blobs.put(minimal_gguf)
    request = CreateRequest("base", files={"base.gguf": blob.digest})
    list(create(library, request, lambda text: None))
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=work, args=(library.root, seed)) for seed in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        # A third one that only reads sees no broken manifest at any time.
        for path in library.manifests.files():
            try:
                library.manifests.decode(
                    ModelName.from_path(path.relative_to(library.manifests.folder))
                )
            except ModelNotFound:
                continue
    for process in processes:
        process.join()
        assert process.exitcode == 0
    used: set[str] = set()
    for model in library.list():
        used |= library.get(model.name).manifest.digests
    assert len(library.list()) == len(list(library.manifests.files()))
    for digest in used:
        assert digest_of_file(library.blobs.require(digest)) == digest
    library.prune(clock=lambda: 4e9)
    assert {_digest(entry.name) for entry in library.blobs.files()} == used


def _digest(name: str) -> str:
    try:
        return normalize_digest(name)
    except InvalidDigest:
        return name
