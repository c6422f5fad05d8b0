"""Transfers that are killed: what is left is whole, and goes on from its last chunk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from engine.store.dying import KILLED, STEPS_MAX, dying, running
from engine.store.registry.conftest import LIMITS, Open, Start, lines_of, noise
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from engine.store.registry.transfers import transfer
from engine.store.test_kill import check_nothing_is_left_over, check_whole
from llamawire.engine.store import Library, ModelName, ModelNotFound
from llamawire.engine.store.manifest import CONFIG, Layer, Manifest

TEXT = "application/vnd.ollama.image.license"
KILLS = 6
BIG = noise(3_000_000)
# What a stream that dies has received and not written down yet: less than a chunk, and what lay in
# the sockets between the two processes.
LOST_BYTES_MAX = LIMITS.streams * (LIMITS.chunk_bytes + 256 * 1024)


async def wait_for(fake: FakeRegistry, served: int, process: BaseProcess) -> None:
    while fake.served_bytes < served and process.exitcode is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_kills_cost_a_chunk_each(start: Start, tmp_path: Path) -> None:
    fake = await start(rate=1.2e6)
    fake.add_model("library/m:latest", (TEXT, BIG))
    name, chance = f"http://{fake.host}/library/m", random.Random(9)
    for kill in range(KILLS):
        before = fake.served_bytes
        process = running(transfer, tmp_path, "pull", name, LIMITS)
        await wait_for(fake, before + chance.randrange(1, len(BIG) // KILLS), process)
        assert process.exitcode is None, kill
        process.kill()
        await asyncio.to_thread(process.join)
    fake.rate = 0
    process = running(transfer, tmp_path, "pull", name, LIMITS)
    await asyncio.to_thread(process.join)
    assert process.exitcode == 0
    assert fake.served_bytes <= len(BIG) + KILLS * LOST_BYTES_MAX
    library = Library(tmp_path)
    assert len(library.list()) <= 1
    assert library.blobs.path(digest_of(BIG)).read_bytes() == BIG
    assert library.entry(ModelName.parse(name)).data == fake.manifests["library/m:latest"]
    assert not [file.name for file in library.blobs.files() if "partial" in file.name]


# Two parts and three chunks of them, so that dying at each step takes little time.
SMALL = noise(28_000, seed=2)
SMALL_LIMITS = replace(
    LIMITS, part_bytes_min=24_000, chunk_bytes=16_000, chunk_age_s=60.0, wire_bytes_min=8_000
)


def manifest_of(library: Library, name: str) -> bytes | None:
    try:
        return library.entry(ModelName.parse(name)).data
    except ModelNotFound:
        return None


async def test_who_dies_at_any_step_of_a_pull_leaves_the_old_model_or_the_new(
    fake: FakeRegistry, open_registry: Open, tmp_path: Path
) -> None:
    new = fake.add_model("library/m:latest", (TEXT, SMALL))
    name, old = f"http://{fake.host}/library/m", b'{"layers":null}'
    for step in range(STEPS_MAX):
        library = Library(tmp_path / str(step))
        # Every other time there is a model of this name already.
        if step % 2:
            library.manifests.write(ModelName.parse(name), old)
        process = dying(step, transfer, library.root, "pull", name, SMALL_LIMITS)
        await asyncio.to_thread(process.join)
        assert manifest_of(library, name) in (old if step % 2 else None, new)
        check_whole(library)
        await lines_of(open_registry(library, SMALL_LIMITS).pull(name))
        assert manifest_of(library, name) == new
        check_whole(library)
        check_nothing_is_left_over(library)
        if process.exitcode != KILLED:
            break
    assert process.exitcode == 0
    assert step >= 30


def install(library: Library, name: str) -> bytes:
    """A model of a file and its config; its manifest."""
    layer = library.blobs.put(SMALL)
    config = library.blobs.put(b"{}")
    manifest = Manifest(
        Layer(CONFIG, config.digest, config.size),
        (Layer(TEXT, layer.digest, layer.size),),
    ).encode()
    library.install(ModelName.parse(name), manifest)
    return manifest


class Killer:
    """Kills a process, after some events that count."""

    def __init__(self, left: int, counts: Callable[[], bool] = lambda: True) -> None:
        self.victim: BaseProcess | None = None
        self._left = left
        self._counts = counts

    def __call__(self) -> None:
        self._left -= self._counts()
        if self._left < 0 and self.victim is not None:
            self.victim.kill()


def check_sent(fake: FakeRegistry, manifest: bytes | None) -> None:
    """The registry has nothing of this name, or all of it."""
    sent = fake.manifests.get("library/m:latest")
    assert sent in (None, manifest)
    if sent is not None:
        assert {digest_of(SMALL), digest_of(b"{}")} <= set(fake.blobs)
    assert all(digest_of(data) == digest for digest, data in fake.blobs.items())


async def test_who_dies_at_any_moment_of_a_push_leaves_nothing_or_the_model(
    start: Start, library: Library, open_registry: Open
) -> None:
    for step in range(STEPS_MAX):
        fake = await start()
        name = f"http://{fake.host}/library/m"
        manifest = install(library, name)
        fake.on_event = killer = Killer(step)
        process = killer.victim = running(transfer, library.root, "push", name, SMALL_LIMITS)
        await asyncio.to_thread(process.join)
        check_sent(fake, manifest)
        fake.on_event = lambda: None
        await lines_of(open_registry(limits=SMALL_LIMITS).push(name))
        check_sent(fake, manifest)
        assert fake.manifests
        check_whole(library)
        check_nothing_is_left_over(library)
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert step >= 20


async def test_a_killed_upload_goes_on_from_its_last_part(
    fake: FakeRegistry, library: Library, open_registry: Open
) -> None:
    name = f"http://{fake.host}/library/m"
    install(library, name)
    fake.on_event = killer = Killer(0, lambda: fake.received_bytes > SMALL_LIMITS.part_bytes_min)
    process = killer.victim = running(transfer, library.root, "push", name, SMALL_LIMITS)
    await asyncio.to_thread(process.join)
    assert process.exitcode
    fake.on_event, before = lambda: None, fake.received_bytes
    # What of the second part had come is the registry's to keep: this one keeps it.
    await lines_of(open_registry(limits=SMALL_LIMITS).push(name))
    check_sent(fake, library.entry(ModelName.parse(name)).data)
    assert fake.received_bytes - before <= len(SMALL) - SMALL_LIMITS.part_bytes_min + 10
    assert len(fake.of("GET", "/blobs/uploads/")) == 1
