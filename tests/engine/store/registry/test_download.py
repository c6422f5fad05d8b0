"""One file over a bad line: parts, cuts, stalls, liars, and callers who leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from engine.store.registry.conftest import LIMITS, Open, Start, TlsFiles, lines_of, noise
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from llamawire.engine.store import Library
from llamawire.engine.store.registry import (
    DiskFull,
    DownloadCorrupt,
    NotInRegistry,
    Registry,
    RegistryError,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.partial import Partial

TEXT = "application/vnd.ollama.image.license"
PART = LIMITS.part_bytes_min
BIG = noise(10 * PART + 1234)
BLOB = f"sha256-{digest_of(BIG)[7:]}"


@pytest.fixture
def model(fake: FakeRegistry) -> str:
    """A model with one large file; its name."""
    fake.add_model("library/m:latest", (TEXT, BIG))
    return f"http://{fake.host}/library/m"


def blob(library: Library) -> bytes:
    return (library.root / "blobs" / BLOB).read_bytes()


def partials(library: Library) -> list[str]:
    return sorted(path.name for path in (library.root / "blobs").glob("*-partial*"))


async def cancelled_after(registry: Registry, name: str, completed: int) -> int:
    """Leaves a pull once so many bytes are there; how many it was told of."""
    async with contextlib.aclosing(registry.pull(name)) as pulling:
        async for line in pulling:
            if line.completed >= completed:
                return line.completed
    raise AssertionError("it came to its end")


async def test_parts_are_fetched_side_by_side(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert partials(library) == []
    ranges = [(first, last) for first, last in fake.ranges() if last > 1]
    assert sorted(ranges)[:2] == [(0, PART - 1), (PART, 2 * PART - 1)]
    assert sum(last + 1 - first for first, last in ranges) == len(BIG)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_lead_to_the_storage(
    fake: FakeRegistry, start: Start, registry: Registry, library: Library, model: str, status: int
) -> None:
    storage = await start(blobs=fake.blobs)
    fake.redirect, fake.redirect_status = storage.url, status
    await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert all(request.query["signature"] == "a/b=" for request in storage.requests)


async def test_a_relative_redirect(fake: FakeRegistry, registry: Registry, model: str) -> None:
    storage = "/storage/" + digest_of(BIG)
    fake.redirect = "/somewhere/.."
    with pytest.raises(RegistryMisbehaved, match=r"maximum redirects exceeded \(10\)"):
        await lines_of(registry.pull(model))
    assert len(fake.of("GET", storage)) >= 10


async def test_a_redirect_does_not_give_up_tls(
    start: Start, open_registry: Open, tls_files: TlsFiles
) -> None:
    fake = await start(tls_files.server)
    storage = await start(blobs=fake.blobs)
    fake.add_model("library/m:latest", (TEXT, BIG))
    fake.redirect = storage.url
    registry = open_registry(tls=tls_files.client)
    with pytest.raises(RegistryMisbehaved, match=r"redirect from https to http, to 127.0.0.1"):
        await lines_of(registry.pull(f"{fake.host}/library/m"))
    assert not storage.requests
    # Whoever has given up on proof anyhow may be sent anywhere.
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))


async def test_a_cut_connection_goes_on_where_it_was(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.cuts = [1000, 20_000, 40_000, 1]
    await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert sum(last + 1 - first for first, last in fake.ranges()) < len(BIG) + 4 * PART + 4
    assert any(first % PART for first, _ in fake.ranges())


async def test_a_stalled_connection_counts_as_cut(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.stalls = [30_000, 5]
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_cuts_without_progress_have_an_end(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.statuses = [503] * 100
    with pytest.raises(RegistryUnreachable, match=r"^max retries exceeded: 503: not now$"):
        await lines_of(registry.pull(model))
    assert len(fake.of("GET")) <= LIMITS.attempts * LIMITS.streams
    fake.statuses = []
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_a_refusal_is_final(fake: FakeRegistry, registry: Registry, model: str) -> None:
    fake.statuses = [451] * 100
    with pytest.raises(RegistryRefused, match=r"^451: not now$"):
        await lines_of(registry.pull(model))
    assert len(fake.of("GET")) <= LIMITS.streams


async def test_a_storage_that_refuses_is_asked_again(
    fake: FakeRegistry, start: Start, registry: Registry, library: Library, model: str
) -> None:
    storage = await start(blobs=fake.blobs, statuses=[403])
    fake.redirect = storage.url
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_a_registry_without_ranges(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.has_ranges = False
    await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert len(fake.of("GET")) <= LIMITS.streams + 2


async def test_a_cut_without_ranges_begins_anew(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.has_ranges = False
    fake.cuts = [0] * LIMITS.streams + [400_000]
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_wrong_bytes_are_not_kept(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    # In the registry itself, so that whoever asks again for a part gets the same.
    fake.blobs[digest_of(BIG)] = b"?" + BIG[1:]
    text = f"digest mismatch, file must be downloaded again: want {digest_of(BIG)}, got sha256:"
    with pytest.raises(DownloadCorrupt, match=text):
        await lines_of(registry.pull(model))
    assert not library.blobs.exists(digest_of(BIG))
    assert partials(library) == []
    fake.add(BIG)
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_a_size_that_the_manifest_does_not_have(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.blobs[digest_of(BIG)] = BIG + b"more"
    with pytest.raises(RegistryMisbehaved, match=f"has {len(BIG) + 4} bytes in the registry"):
        await lines_of(registry.pull(model))


async def test_a_manifest_without_sizes(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    manifest = fake.manifests["library/m:latest"]
    fake.manifests["library/m:latest"] = manifest.replace(str(len(BIG)).encode(), b"0")
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


async def test_an_empty_file(fake: FakeRegistry, registry: Registry, library: Library) -> None:
    fake.add_model("library/empty:latest", (TEXT, b""))
    lines = await lines_of(registry.pull(f"http://{fake.host}/library/empty"))
    assert lines[-1].status == "success"
    assert library.blobs.read(digest_of(b"")) == b""


async def test_a_cancelled_pull_goes_on_later(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.rate = 4e6
    completed = await cancelled_after(registry, model, 5 * PART)
    assert f"{BLOB}-partial" in partials(library)
    fake.rate, fake.served_bytes = 0, 0
    lines = await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert fake.served_bytes <= len(BIG) - completed + 2
    assert next(line.completed for line in lines if line.digest) >= completed


async def test_two_callers_share_one_download(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.rate = 4e6
    fake.manifests["library/other:latest"] = fake.manifests["library/m:latest"]
    names = (model, model, f"http://{fake.host}/library/other")
    await asyncio.gather(*(lines_of(registry.pull(name)) for name in names))
    assert fake.served_bytes == len(BIG) + 2
    assert len(library.list()) == 2


async def test_whoever_leaves_leaves_it_to_the_others(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.rate = 4e6
    staying = asyncio.create_task(lines_of(registry.pull(model)))
    await cancelled_after(registry, model, PART)
    await staying
    assert blob(library) == BIG
    assert fake.served_bytes == len(BIG) + 2


async def test_when_the_last_one_leaves_it_ends(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.rate = 4e6
    await cancelled_after(registry, model, PART)
    served = fake.served_bytes
    await asyncio.sleep(0.1)
    assert fake.served_bytes <= served + LIMITS.streams * 16384
    # Nobody holds the files any more.
    partial = Partial(library.root / "blobs" / BLOB, len(BIG), LIMITS)
    partial.open()
    partial.close()


async def test_a_second_process_waits_for_the_first(
    fake: FakeRegistry, open_registry: Open, library: Library, model: str
) -> None:
    fake.rate = 4e6
    first, second = open_registry(), open_registry(Library(library.root))
    both = await asyncio.gather(*(lines_of(each.pull(model)) for each in (first, second)))
    assert all(lines[-1].status == "success" for lines in both)
    assert len({line.completed for line in both[1] if line.total == len(BIG)}) > 3
    assert fake.served_bytes == len(BIG) + 2


async def test_the_second_takes_over_when_the_first_leaves(
    fake: FakeRegistry, open_registry: Open, library: Library, model: str
) -> None:
    fake.rate = 4e6
    first, second = open_registry(), open_registry(Library(library.root))
    leaving = asyncio.create_task(cancelled_after(first, model, 3 * PART))
    await lines_of(second.pull(model))
    await leaving
    assert blob(library) == BIG
    assert fake.served_bytes <= len(BIG) + LIMITS.streams * PART


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
async def test_a_full_disk_is_told_and_what_has_arrived_is_kept(
    fake: FakeRegistry, open_registry: Open, tmp_path: Path, model: str
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder, stderr=asyncio.subprocess.DEVNULL
    )
    if await mount.wait():
        pytest.skip("this machine does not let us mount a small disk")
    try:
        (folder / "in the way").write_bytes(bytes(600_000))
        library = Library(folder)
        registry = open_registry(library, free_bytes=lambda _: 1 << 40)
        with pytest.raises(DiskFull, match="the disk is full"):
            await lines_of(registry.pull(model))
        (folder / "in the way").unlink()
        fake.served_bytes = 0
        await lines_of(registry.pull(model))
        assert blob(library) == BIG
        assert fake.served_bytes < len(BIG) - 2 * PART
    finally:
        await registry.close()
        unmount = await asyncio.create_subprocess_exec("umount", folder)
        await unmount.wait()


async def test_an_unknown_failure_leaves_no_task_behind(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    del fake.blobs[digest_of(BIG)]
    before = len(asyncio.all_tasks())
    with pytest.raises(NotInRegistry):
        await lines_of(registry.pull(model))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before + 1
    with pytest.raises(RegistryError):
        await lines_of(registry.pull(model))
