"""Pull: what it tells, what it leaves on the disk, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from engine.store.registry.conftest import Open, Start, lines_of, noise, statuses_of
from engine.store.registry.fake_registry import MODEL, FakeRegistry, digest_of, manifest_of
from gguf_files import tiny_llama
from llamawire.engine.store import (
    CreateRequest,
    InvalidDigest,
    InvalidGguf,
    InvalidName,
    Library,
    ModelName,
    StoreError,
)
from llamawire.engine.store.registry import DiskFull, NotInRegistry, Registry, RegistryError

TEXT = "application/vnd.ollama.image.license"


def short(data: bytes) -> str:
    return digest_of(data)[7:19]


async def test_the_lines_are_upstreams(fake: FakeRegistry, registry: Registry) -> None:
    big, config = noise(300_000), b'{"model_format":"gguf"}'
    fake.add_model("library/m:latest", (TEXT, big), (TEXT, b"MIT"), config=config)
    lines = await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    statuses = list(dict.fromkeys(line.status for line in lines))
    files = [f"pulling {short(data)}" for data in (big, b"MIT", config)]
    assert statuses == [
        "pulling manifest", *files, "verifying sha256 digest", "writing manifest", "success",
    ]  # fmt: skip
    for status, data in zip(files, (big, b"MIT", config), strict=True):
        last = [line for line in lines if line.status == status][-1]
        assert (last.digest, last.total, last.completed) == (digest_of(data), len(data), len(data))


async def test_a_manifest_keeps_its_bytes(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    manifest = fake.add_model("library/m:latest", (TEXT, b"MIT"), config=b"{}")
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    path = library.root / "manifests" / fake.host / "library" / "m" / "latest"
    assert path.read_bytes() == manifest
    model = library.get(ModelName.parse(f"{fake.host}/library/m"))
    assert model.digest == hashlib.sha256(manifest).hexdigest()


async def test_what_is_there_is_not_fetched_again(fake: FakeRegistry, registry: Registry) -> None:
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    for _ in range(2):
        lines = await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert len(fake.of("GET")) == 2
    assert [line.completed for line in lines if line.digest] == [3, 2]


async def test_files_that_no_model_needs_any_more_go(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    fake.add_model("library/m:latest", (TEXT, b"old"))
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    fake.add_model("library/m:latest", (TEXT, b"new"))
    statuses = await statuses_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert statuses[-3:] == ["writing manifest", "removing unused layers", "success"]
    assert not library.blobs.exists(digest_of(b"old"))


async def test_without_pruning_they_stay(
    fake: FakeRegistry, open_registry: Open, tmp_path: Path
) -> None:
    library = Library(tmp_path / "kept", prune_replaced=False)
    registry = open_registry(library)
    for text in (b"old", b"new"):
        fake.add_model("library/m:latest", (TEXT, text))
        statuses = await statuses_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert "removing unused layers" not in statuses
    assert library.blobs.exists(digest_of(b"old"))


async def test_names_are_found_in_any_case(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    await lines_of(registry.pull(f"{fake.host}/library/M:LATEST", insecure=True))
    assert len(library.list()) == 1


@pytest.mark.parametrize(
    "name", ["", "m:", "a/b/c/d", "m@sha256-1", "-m", "h:1:2/n/m", "h:99999/n/m"]
)
async def test_a_bad_name_is_told_before_anything(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidName, match="invalid model name"):
        await anext(registry.pull(name))


@pytest.mark.parametrize(
    ("manifest", "error", "text"),
    [
        (None, NotInRegistry, "pull model manifest: file does not exist"),
        (b"<html>", RegistryError, "pull model manifest: not JSON"),
        (b"[]", RegistryError, "pull model manifest: the manifest is not a JSON object"),
        (b'{"layers":[{"digest":""}]}', RegistryError, "library/m: digest is empty"),
        (b'{"layers":[{"digest":"sha256:12"}]}', InvalidDigest, "invalid digest format"),
        (
            manifest_of([("application/vnd.ollama.image.tensor", b"x")]),
            RegistryError,
            "this model requires MLX support, but the MLX runtime is not available",
        ),
    ],
)
async def test_manifests_that_cannot_be(
    fake: FakeRegistry,
    registry: Registry,
    manifest: bytes | None,
    error: type[StoreError],
    text: str,
) -> None:
    if manifest is not None:
        fake.manifests["library/m:latest"] = manifest
    with pytest.raises(error, match=text):
        await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))


async def test_a_file_that_the_registry_lost(fake: FakeRegistry, registry: Registry) -> None:
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    del fake.blobs[digest_of(b"MIT")]
    with pytest.raises(NotInRegistry, match=r"^file does not exist$"):
        await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))


async def test_a_registry_that_is_not_there(start: Start, registry: Registry) -> None:
    text = r'^pull model manifest: Get "http://127.0.0.1:1/v2/library/m/manifests/latest": dial tcp'
    with pytest.raises(RegistryError, match=text + ".*connection refused"):
        await lines_of(registry.pull("http://127.0.0.1:1/library/m"))


async def test_https_is_the_default(fake: FakeRegistry, registry: Registry) -> None:
    with pytest.raises(RegistryError, match="server gave HTTP response to HTTPS client"):
        await lines_of(registry.pull(f"{fake.host}/library/m"))
    assert not fake.requests


async def test_a_gguf_is_looked_at_before_it_is_a_model(
    fake: FakeRegistry, registry: Registry, library: Library, tmp_path: Path
) -> None:
    fake.add_model("library/m:latest", (MODEL, b"GGUF" + bytes(100)))
    with pytest.raises(InvalidGguf):
        await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert not library.list()
    tiny_llama(tmp_path / "good.gguf")
    fake.add_model("library/m:latest", (MODEL, (tmp_path / "good.gguf").read_bytes()))
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert library.get(ModelName.parse(f"{fake.host}/library/m")).weights


async def test_room_is_looked_for_before_the_first_byte(
    fake: FakeRegistry, open_registry: Open
) -> None:
    free = 299_999
    registry = open_registry(free_bytes=lambda folder: free)
    fake.add_model("library/m:latest", (TEXT, noise(299_998)))
    with pytest.raises(DiskFull, match="needs 300000 more bytes, 299999 are free"):
        await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))
    assert not fake.of("GET")
    free = 300_000
    await lines_of(registry.pull(f"{fake.host}/library/m", insecure=True))


async def test_a_file_deleted_meanwhile_is_fetched_again(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    async for line in registry.pull(f"{fake.host}/library/m", insecure=True):
        if line.status == "writing manifest" and len(fake.of("GET")) == 2:
            library.blobs.delete(digest_of(b"MIT"))
    assert line.status == "success"
    assert library.blobs.exists(digest_of(b"MIT"))


async def test_a_mirror_is_asked_first(
    fake: FakeRegistry, start: Start, open_registry: Open
) -> None:
    mirror = await start()
    registry = open_registry(mirrors=[f"{fake.host}=http://{mirror.host}/deep"])
    mirror.add_model("deep/library/m:latest", (TEXT, b"MIT"))
    mirror.manifests["library/m:latest"] = mirror.manifests["deep/library/m:latest"]
    with pytest.raises(NotInRegistry):
        await lines_of(registry.pull(f"http://{fake.host}/library/m"))
    assert mirror.requests[0].path == "/deep/v2/library/m/manifests/latest"
    assert fake.requests[0].path == "/v2/library/m/manifests/latest"


async def test_a_mirror_serves_what_it_has(
    fake: FakeRegistry, start: Start, open_registry: Open
) -> None:
    registry = open_registry(mirrors=[fake.url])
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    assert (await lines_of(registry.pull("m")))[-1].status == "success"


async def test_hugging_face_is_one_more_registry(
    fake: FakeRegistry, open_registry: Open, library: Library
) -> None:
    registry = open_registry(mirrors=[f"hf.co={fake.url}"])
    fake.add_model("User/Repo.v2-GGUF:Q4_K_M", (TEXT, b"MIT"))
    name = "hf.co/User/Repo.v2-GGUF:Q4_K_M"
    assert (await lines_of(registry.pull(name)))[-1].status == "success"
    assert fake.requests[0].path == "/v2/User/Repo.v2-GGUF/manifests/Q4_K_M"
    (path,) = library.manifests.files()
    assert path.relative_to(library.root) == Path("manifests", *name.replace(":", "/").split("/"))
    assert [model.name.display for model in library.list()] == [name]


async def test_a_manifest_is_written_anew_by_every_pull(
    fake: FakeRegistry, registry: Registry, library: Library
) -> None:
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    name = f"http://{fake.host}/library/m"
    await lines_of(registry.pull(name))
    path = library.manifests.path(ModelName.parse(name))
    os.utime(path, (1, 1))
    await lines_of(registry.pull(name))
    assert path.stat().st_mtime > 1


async def test_a_base_is_fetched_only_if_it_is_not_there(
    fake: FakeRegistry, open_registry: Open
) -> None:
    registry = open_registry(mirrors=[fake.url])
    fake.add_model("library/base:latest", (TEXT, b"MIT"))
    request = CreateRequest("mine", base="base")
    statuses = await statuses_of(registry.pull_base(request))
    assert (statuses[0], statuses[-1]) == ("pulling manifest", "success")
    assert await lines_of(registry.pull_base(request)) == []
    assert json.loads(fake.manifests["library/base:latest"])
