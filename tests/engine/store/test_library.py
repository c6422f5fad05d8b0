from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from datetime import timezone
from pathlib import Path

import pytest

from gguf_files import tiny_llama
from llamawire.engine import store
from llamawire.engine.store import (
    CorruptManifest,
    CreateRequest,
    Library,
    ModelName,
    ModelNotFound,
    StoreBusy,
    create,
)
from llamawire.engine.store.lock import StoreLock

Make = Callable[..., list[str]]

WEIGHTS = "sha256-89a2116c3a82d6a97f59f748d86ed4417214353fd178ee54df418fde32495fad"


def parse(text: str) -> ModelName:
    return ModelName.parse(text)


def shown(library: Library) -> list[str]:
    return sorted(model.name.display for model in library.list())


def blobs(library: Library) -> set[str]:
    return {entry.name for entry in library.blobs.files()}


def test_a_folder_that_is_not_there_is_empty(library: Library) -> None:
    assert library.list() == []
    with pytest.raises(ModelNotFound, match="model 'foo:latest' not found"):
        library.get(parse("foo"))
    library.rename_old_blobs()
    assert not library.root.exists()


def test_upload_create_list_copy_delete(
    library: Library, make: Make, test_model: ModelName
) -> None:
    library.copy(test_model, parse("ns/second:x"))
    assert shown(library) == ["ns/second:x", "test:latest"]
    assert library.get(parse("ns/second:x")).digest == library.get(test_model).digest
    library.delete(test_model)
    assert shown(library) == ["ns/second:x"]
    assert WEIGHTS in blobs(library)
    library.delete(parse("ns/second:x"))
    assert blobs(library) == set()
    assert not (library.root / "manifests" / "registry.ollama.ai").exists()


def test_deleting_a_base_keeps_the_blobs_of_what_was_derived(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("a", base="test", system="one")
    make("b", base="test", system="two")
    library.delete(test_model)
    library.delete(parse("a"))
    assert WEIGHTS in blobs(library)
    assert library.get(parse("b")).system == "two"
    library.delete(parse("b"))
    assert blobs(library) == set()


def test_absent_models_cannot_be_copied_or_deleted(library: Library) -> None:
    with pytest.raises(ModelNotFound):
        library.delete(parse("a"))
    with pytest.raises(ModelNotFound):
        library.copy(parse("a"), parse("b"))
    library.copy(parse("a"), parse("a"))
    assert not (library.root / "manifests").exists()


def test_names_are_found_in_any_case(library: Library, make: Make, test_model: ModelName) -> None:
    make("Foo/Model:Tag", base="test")
    assert library.get(parse("foo/mODEL:TAG")).name.full == "registry.ollama.ai/Foo/Model:Tag"
    assert library.canonical(parse("foo/other")).namespace == "Foo"
    assert library.canonical(parse("FOO/MODEL:new")).display == "Foo/Model:new"
    library.delete(parse("FOO/MODEL:TAG"))
    assert shown(library) == ["test:latest"]


def test_foreign_manifests_keep_their_bytes(library: Library, test_model: ModelName) -> None:
    fields = json.loads(library.entry(test_model).data)
    text = json.dumps(fields | {"more": "fields"}, indent=3).encode()
    path = library.root / "manifests/registry.ollama.ai/library/foreign/8b"
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    model = library.get(parse("foreign:8b"))
    assert model.digest == hashlib.sha256(text).hexdigest()
    library.copy(parse("foreign:8b"), parse("copied"))
    assert library.entry(parse("copied")).data == text
    assert {item.digest for item in library.list()} == {
        model.digest,
        library.get(test_model).digest,
    }


def test_the_list_is_sorted_by_time_and_leaves_out_the_unreadable(
    library: Library, make: Make, test_model: ModelName
) -> None:
    for index, name in enumerate(("b", "a", "c")):
        make(name, base="test")
        os.utime(library.manifests.path(parse(name)), (1000 + index, 1000 + index))
    (library.manifests.path(parse("b"))).write_text("torn")
    stray = library.root / "manifests/registry.ollama.ai/library/x/.DS_Store"
    stray.parent.mkdir()
    stray.touch()
    assert [item.name.display for item in library.list()] == ["test:latest", "c:latest", "a:latest"]
    assert library.list()[2].modified_at.astimezone(timezone.utc).timestamp() == 1001
    with pytest.raises(CorruptManifest, match="b:latest"):
        library.get(parse("b"))
    with pytest.raises(CorruptManifest):
        library.delete(parse("b"))


def test_a_model_with_a_missing_blob_is_not_found(library: Library, test_model: ModelName) -> None:
    (library.root / "blobs" / WEIGHTS).unlink()
    with pytest.raises(ModelNotFound):
        library.get(test_model)
    assert library.list() == []


def test_details_of_the_list_come_from_the_header_too(
    library: Library, make: Make, tmp_path: Path
) -> None:
    path = tiny_llama(tmp_path / "f", context=77)
    make("a", files={"a.gguf": library.blobs.put(path.read_bytes()).digest})
    (listed,) = library.list()
    assert (listed.details.context_length, listed.details.embedding_length) == (77, 64)
    assert (listed.details.quantization_level, listed.details.family) == ("F32", "llama")
    assert listed.capabilities == ("completion",)
    details = library.get(parse("a")).details
    assert (details.quantization_level, details.context_length) == ("unknown", 0)


def test_a_name_longer_than_the_file_system_allows_is_not_found(library: Library) -> None:
    library.root.mkdir()
    with pytest.raises(ModelNotFound):
        library.get(parse(f"{'h' * 350}/n/m"))


def test_templates_that_do_not_parse_keep_a_model_out_of_the_list(
    library: Library, make: Make, test_model: ModelName
) -> None:
    def capabilities(template: str) -> set[str]:
        if template == "{{":
            raise ValueError("unclosed action")
        return {"tools", "insert"}

    make("a", base="test", template="{{")
    make("b", base="test", template="{{ .Tools }}{{ .Suffix }}")
    strict = Library(library.root, template_capabilities=capabilities)
    assert {item.name.display: item.capabilities for item in strict.list()} == {
        "b:latest": ("completion", "tools", "insert"),
        "test:latest": ("completion",),
    }
    assert strict.get(parse("b")).capabilities() == ("completion", "tools", "insert")


def test_two_libraries_share_a_folder(library: Library, test_model: ModelName) -> None:
    other = Library(library.root)
    errors: list[BaseException] = []

    def work(own: Library, prefix: str) -> None:
        try:
            for index in range(15):
                request = CreateRequest(f"{prefix}{index % 3}", base="test", system=f"s{index}")
                list(create(own, request, lambda text: None))
                own.copy(parse(f"{prefix}{index % 3}"), parse("shared"))
                own.delete(parse(f"{prefix}{index % 3}"))
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(own, prefix))
        for own, prefix in ((library, "a"), (library, "b"), (other, "c"), (other, "d"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert shown(library) == ["shared:latest", "test:latest"]
    used = (
        library.entry(parse("shared")).manifest.digests | library.entry(test_model).manifest.digests
    )
    assert {name.replace("-", ":") for name in blobs(library)} >= used


def hold(path: Path, ready: multiprocessing.synchronize.Event, done: object) -> None:
    with StoreLock(path).held():
        ready.set()
        done.wait(30)  # type: ignore[attr-defined]


def test_the_lock_holds_among_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    path = tmp_path / "lock"
    process = context.Process(target=hold, args=(path, ready, done))
    process.start()
    try:
        assert ready.wait(30)
        with pytest.raises(StoreBusy), StoreLock(path, wait_s=0.05).held():
            pass
    finally:
        done.set()
        process.join()
    with StoreLock(path, wait_s=5).held():
        pass


def test_the_lock_is_let_go_when_its_block_fails(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "lock", wait_s=1)
    with pytest.raises(KeyError), lock.held():
        raise KeyError
    with lock.held(), pytest.raises(StoreBusy), StoreLock(tmp_path / "lock", 0.01).held():
        pass


def test_the_public_names_are_there() -> None:
    for name in store.__all__:
        assert hasattr(store, name)
