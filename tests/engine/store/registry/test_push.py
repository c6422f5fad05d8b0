"""Push: what it tells, what it sends, and how it goes on after a cut."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from engine.store.registry.conftest import LIMITS, Start, lines_of, noise, statuses_of
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from llamawire.engine.store import InvalidName, Layer, Library, Manifest, ModelName, ModelNotFound
from llamawire.engine.store.manifest import CONFIG, MANIFEST
from llamawire.engine.store.registry import Credentials, Registry, RegistryError, RegistryRefused

TEXT = "application/vnd.ollama.image.license"
PART = LIMITS.part_bytes_min
BIG = noise(5 * PART + 17)


def add_model(library: Library, name: str, *texts: bytes, origin: str = "") -> bytes:
    """A model of some files; gives its manifest."""
    config = library.blobs.put(b"{}\n")
    blobs = [library.blobs.put(text) for text in texts]
    layers = tuple(Layer(TEXT, blob.digest, blob.size, origin) for blob in blobs)
    manifest = Manifest(Layer(CONFIG, config.digest, config.size), layers).encode()
    library.install(ModelName.parse(name), manifest)
    return manifest


@pytest.fixture
def model(fake: FakeRegistry, library: Library) -> str:
    """A model with one large file; its name."""
    name = f"http://{fake.host}/library/m"
    add_model(library, name, BIG, b"MIT")
    return name


async def test_the_lines_are_upstreams(fake: FakeRegistry, registry: Registry, model: str) -> None:
    lines = await lines_of(registry.push(model))
    files = [f"pushing {digest_of(data)[7:19]}" for data in (BIG, b"MIT", b"{}\n")]
    assert list(dict.fromkeys(line.status for line in lines)) == [
        "retrieving manifest", *files, "pushing manifest", "success",
    ]  # fmt: skip
    for status, size in zip(files, (len(BIG), 3, 3), strict=True):
        last = [line for line in lines if line.status == status][-1]
        assert (last.total, last.completed) == (size, size)


async def test_a_pushed_model_has_the_same_bytes(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    await lines_of(registry.push(model))
    stored = library.entry(ModelName.parse(model)).data
    assert fake.manifests["library/m:latest"] == stored
    assert fake.blobs[digest_of(BIG)] == BIG
    last = fake.requests[-1]
    assert (last.method, last.path) == ("PUT", "/v2/library/m/manifests/latest")
    assert last.headers["Content-Type"] == MANIFEST


async def test_a_name_in_another_case_is_sent_as_it_is_stored(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    statuses = await statuses_of(registry.push(f"http://{fake.host}/LIBRARY/M:LATEST"))
    assert statuses[-1] == "success"
    assert list(fake.manifests) == ["library/m:latest"]


async def test_parts_follow_upstreams_protocol(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    await lines_of(registry.push(model))
    parts = [one for one in fake.of("PATCH", "/uploads/")][:6]
    assert parts[0].headers["Content-Range"] == f"0-{PART - 1}"
    assert parts[5].headers["Content-Range"] == f"{5 * PART}-{len(BIG) - 1}"
    assert {one.headers["X-Redirect-Uploads"] for one in parts} == {"1"}
    assert all(one.query["state"] == "a+b" for one in parts)
    commit = fake.of("PUT", "/uploads/")[0]
    sums = [hashlib.md5(BIG[at : at + PART]).digest() for at in range(0, len(BIG), PART)]
    assert commit.query["digest"] == digest_of(BIG)
    assert commit.query["etag"] == f"{hashlib.md5(b''.join(sums)).hexdigest()}-6"


async def test_what_is_there_is_not_sent(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.add(BIG)
    await lines_of(registry.push(model))
    assert len(fake.of("POST", "/uploads/")) == 2
    assert len(await lines_of(registry.push(model))) == 6


async def test_a_relative_location(fake: FakeRegistry, registry: Registry, model: str) -> None:
    fake.is_relative = True
    await lines_of(registry.push(model))
    assert fake.blobs[digest_of(BIG)] == BIG


async def test_a_cut_upload_goes_on_where_it_was(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.upload_cuts = [0, PART + 20_000, 3 * PART + 5]
    await lines_of(registry.push(model))
    assert fake.blobs[digest_of(BIG)] == BIG
    starts = [int(p.headers["Content-Range"].partition("-")[0]) for p in fake.of("PATCH", "/u")]
    assert any(start % PART for start in starts)
    assert len(fake.of("POST", "/uploads/")) == 3


async def test_a_forgotten_upload_begins_anew(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.upload_cuts, fake.forgets = [0, PART + 20_000], 1
    await lines_of(registry.push(model))
    assert fake.blobs[digest_of(BIG)] == BIG
    assert len(fake.of("POST", "/uploads/")) == 4


async def test_a_standing_upload_counts_as_cut(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.upload_stalls = 1
    await lines_of(registry.push(model))
    assert fake.blobs[digest_of(BIG)] == BIG


async def test_storage_behind_the_registry_is_told_nothing(
    fake: FakeRegistry, start: Start, registry: Registry, model: str
) -> None:
    storage = await start()
    fake.challenge, fake.accepted = 'Basic realm="x"', "Basic bWU6c2VjcmV0"
    fake.upload_redirect = storage.url
    storage.uploads = fake.uploads
    await lines_of(registry.push(model, credentials=Credentials("me", "secret")))
    assert fake.blobs[digest_of(BIG)] == BIG
    assert len(storage.of("PUT", "/uploads/")) == 8
    assert not any("Authorization" in request.headers for request in storage.requests)


async def test_a_file_of_another_repository_is_mounted(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    fake.mounts = True
    name = f"http://{fake.host}/library/derived"
    add_model(library, name, b"base text", origin=f"{fake.host}/other/base:latest")
    fake.blobs.clear()
    await lines_of(registry.push(name))
    (post, _) = fake.of("POST", "/uploads/")
    assert post.query["mount"] == digest_of(b"base text")
    assert post.query["from"] == "other/base"


async def test_a_refused_upload_says_why(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.statuses = [403]
    with pytest.raises(RegistryRefused, match=r"^403: not now$|^403$"):
        await lines_of(registry.push(model))


async def test_a_model_that_is_not_there(registry: Registry, library: Library) -> None:
    pushing = registry.push("nobody/nothing")
    assert (await anext(pushing)).status == "retrieving manifest"
    assert (await anext(pushing)).status == "couldn't retrieve manifest"
    with pytest.raises(ModelNotFound) as caught:
        await anext(pushing)
    path = Path("manifests/registry.ollama.ai/nobody/nothing/latest")
    assert caught.value.metadata["path"] == str(library.root / path)


async def test_a_bad_name(registry: Registry) -> None:
    pushing = registry.push("a/b/c/d")
    assert (await anext(pushing)).status == "retrieving manifest"
    assert (await anext(pushing)).status == "couldn't retrieve manifest"
    with pytest.raises(InvalidName, match="unqualified name: a/b/c/d"):
        await anext(pushing)


async def test_what_was_pushed_can_be_pulled(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    digest = library.get(ModelName.parse(model)).digest
    await lines_of(registry.push(model))
    library.delete(ModelName.parse(model))
    await lines_of(registry.pull(model))
    assert library.get(ModelName.parse(model)).digest == digest


async def test_a_registry_that_keeps_failing(
    fake: FakeRegistry, registry: Registry, model: str
) -> None:
    fake.statuses = [500] * 100
    with pytest.raises(RegistryError, match="max retries exceeded: 500"):
        await statuses_of(registry.push(model))
