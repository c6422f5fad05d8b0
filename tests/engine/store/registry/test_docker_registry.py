"""Against a real registry: over HTTP, over TLS, with a password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.store.registry.conftest import LIMITS, Open, lines_of, noise
from engine.store.registry.docker_registry import (
    DockerRegistry,
    docker_registry,
    needs_docker_registry,
)
from engine.store.registry.test_push import add_model
from llamawire.engine.store import Library, ModelName
from llamawire.engine.store.registry import (
    Credentials,
    NotInRegistry,
    Registry,
    RegistryUnauthorized,
    RegistryUnreachable,
)

pytestmark = needs_docker_registry

BIG = noise(700_001)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    folder = tmp_path_factory.mktemp("secure")
    with docker_registry(folder, has_tls=True, has_password=True) as server:
        yield server


async def there_and_back(
    registry: Registry, library: Library, name: str, **options: object
) -> None:
    """Pushes a model, forgets it, pulls it: nothing has changed."""
    manifest = add_model(library, name, BIG, b"MIT")
    pushed = await lines_of(registry.push(name, **options))  # type: ignore[arg-type]
    library.delete(ModelName.parse(name))
    assert not list(library.blobs.files())
    pulled = await lines_of(registry.pull(name, **options))  # type: ignore[arg-type]
    assert pushed[-1].status == pulled[-1].status == "success"
    assert library.entry(ModelName.parse(name)).data == manifest
    assert {entry.stat().st_size for entry in library.blobs.files()} == {len(BIG), 3}


async def test_over_http(plain: DockerRegistry, registry: Registry, library: Library) -> None:
    await there_and_back(registry, library, plain.name("there/back:1"))


async def test_insecure_finds_plain_http(
    plain: DockerRegistry, registry: Registry, library: Library
) -> None:
    await there_and_back(registry, library, f"{plain.host}/there/insecure", insecure=True)


async def test_a_second_push_sends_nothing(
    plain: DockerRegistry, registry: Registry, library: Library
) -> None:
    name = plain.name("there/twice")
    add_model(library, name, BIG)
    await lines_of(registry.push(name))
    lines = await lines_of(registry.push(name))
    assert [line.completed for line in lines if line.digest] == [len(BIG), 3]


async def test_a_push_that_was_left_comes_to_its_end_later(
    plain: DockerRegistry, open_registry: Open, library: Library
) -> None:
    """In the middle of a part, which this registry does not forgive, and then in a new process."""
    name = plain.name("there/left")
    manifest = add_model(library, name, BIG)
    # So that each step of the upload is told of, however quick it is.
    first = open_registry(limits=replace(LIMITS, progress_interval_s=0.0))
    async with contextlib.aclosing(first.push(name)) as pushing:
        async for line in pushing:
            if 0 < line.completed < line.total:
                break
    assert [path for path in library.blobs.files() if "-upload-" in path.name]
    registry = open_registry(Library(library.root))
    await lines_of(registry.push(name))
    assert not [path for path in library.blobs.files() if "-upload-" in path.name]
    library.delete(ModelName.parse(name))
    await lines_of(registry.pull(name))
    assert library.entry(ModelName.parse(name)).data == manifest


async def test_what_it_does_not_have(plain: DockerRegistry, registry: Registry) -> None:
    with pytest.raises(NotInRegistry, match=r"^pull model manifest: file does not exist$"):
        await lines_of(registry.pull(plain.name("there/nothing")))


async def test_over_tls_with_a_password(
    secure: DockerRegistry, open_registry: Open, library: Library
) -> None:
    registry = open_registry(tls=secure.tls)
    credentials = Credentials("tester", "secret")
    await there_and_back(registry, library, secure.name("there/back"), credentials=credentials)


async def test_a_wrong_password(secure: DockerRegistry, open_registry: Open) -> None:
    registry = open_registry(tls=secure.tls)
    for credentials in (None, Credentials("tester", "wrong")):
        with pytest.raises(RegistryUnauthorized, match="unauthorized: access denied"):
            await lines_of(registry.pull(secure.name("a/b"), credentials=credentials))


async def test_a_certificate_that_nobody_signed(
    secure: DockerRegistry, registry: Registry, library: Library
) -> None:
    with pytest.raises(RegistryUnreachable, match="tls: failed to verify certificate"):
        await lines_of(registry.pull(secure.name("a/b")))
    name, credentials = f"{secure.host}/there/unsigned", Credentials("tester", "secret")
    await there_and_back(registry, library, name, insecure=True, credentials=credentials)
