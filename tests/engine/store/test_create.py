from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gguf_files import lora_adapter, tiny_llama, write_gguf
from llamawire.engine.store import (
    BlobNotFound,
    CreateError,
    CreateRequest,
    InvalidDigest,
    InvalidGguf,
    InvalidName,
    Library,
    Manifest,
    Message,
    ModelName,
    Progress,
    StoreError,
    create,
)

Make = Callable[..., list[str]]

GGUF_DIGEST = "sha256:89a2116c3a82d6a97f59f748d86ed4417214353fd178ee54df418fde32495fad"
CONFIG_DIGEST = "sha256:99759ad5b91e723db0393d698ffbb448b1b7df5ff6377a108c49254583b1bc8c"
M1 = "f75369d1dd1fb2f7c3db80c05854077604d2e78397dbe270fbe9d8a453ae62ff"
M1_FROM = "d27564ed312ce4c15e5fdee4b353d3dd94b50e27159d687022be9cbfb13158cb"
M2 = "e0f9ab1006c33bd4f049945754cf4ac56bc9a01d16884654768dd8ddd9c17b07"
ABSENT = "sha256:" + "0" * 64


def digest(library: Library, name: str) -> str:
    return library.get(ModelName.parse(name)).digest


def blob_names(library: Library) -> set[str]:
    return {entry.name.replace("-", ":") for entry in library.blobs.files()}


def layer_digest(library: Library, name: str, kind: str) -> str:
    manifest = library.entry(ModelName.parse(name)).manifest
    layer = manifest.last(f"application/vnd.ollama.image.{kind}")
    assert layer is not None
    return layer.digest.removeprefix("sha256:")


def upload(library: Library, path: Path) -> str:
    return library.blobs.put(path.read_bytes()).digest


def test_the_smallest_model_has_the_golden_digests(
    library: Library, make: Make, minimal_gguf: bytes
) -> None:
    blob = library.blobs.put(minimal_gguf)
    assert blob.digest == GGUF_DIGEST
    assert make("test", files={"base.gguf": blob.digest}) == [
        "parsing GGUF",
        f"using existing layer {GGUF_DIGEST}",
        "writing manifest",
        "success",
    ]
    entry = library.entry(ModelName.parse("test"))
    assert entry.digest == M1
    assert len(entry.data) == 408
    assert entry.manifest.config is not None
    assert (entry.manifest.config.digest, entry.manifest.config.size) == (CONFIG_DIGEST, 147)
    (listed,) = library.list()
    assert (listed.size, listed.digest, listed.details.parent_model) == (215, M1, "")


def test_a_derived_model_has_the_golden_digest(
    library: Library, make: Make, test_model: ModelName
) -> None:
    lines = make("test2", base="test", system="Say hi!")
    assert lines == [
        f"using existing layer {GGUF_DIGEST}",
        "creating new layer "
        "sha256:f29e82a8284dbdf5910b1555580ff60b04238b8da9d5e51159ada67a4d0d5851",
        "writing manifest",
        "success",
    ]
    model = library.get(ModelName.parse("test2"))
    assert (model.digest, model.size) == (M2, 222)
    assert model.details.parent_model == "test:latest"
    assert model.system == "Say hi!"
    assert len(library.entry(model.name).data) == 573


def test_a_layer_with_an_origin_has_the_golden_digest(
    library: Library, test_model: ModelName
) -> None:
    data = library.entry(test_model).data.replace(b'"size":68}', b'"size":68,"from":"base.gguf"}')
    assert (len(data), hashlib.sha256(data).hexdigest()) == (427, M1_FROM)
    assert Manifest.decode(data).encode() == data


def test_text_layers_have_the_golden_digests(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("a", base="test", template="{{ .Prompt }}", system="Say bye!", licenses=("MIT",))
    golden = {
        "template": "b507b9c2f6ca642bffcd06665ea7c91f235fd32daeefdf875a0f938db05fb315",
        "system": "4c5f51faac758fecaff8db42f0b7382891a4d0c0bb885f7b86be88c814a7cc86",
        "license": "e5dcffe836b6ec8a58e492419b550e65fb8cbdc308503979e5dacb33ac7ea3b7",
    }
    assert {kind: layer_digest(library, "a", kind) for kind in golden} == golden
    make("b", base="a", template="{{ .System }} {{ .Prompt }}", licenses=("Apache-2.0",))
    assert layer_digest(library, "b", "template") == (
        "fe7ac77b725cda2ccad03f88a880ecdfd7a33192d6cae08fce2c0ee1455991ed"
    )
    assert layer_digest(library, "b", "license") == (
        "2af71558e438db0b73a20beab92dc278a94e1bbe974c00c1a33e3ab62d53a608"
    )
    model = library.get(ModelName.parse("b"))
    assert model.licenses == ("MIT", "Apache-2.0")
    assert model.system == "Say bye!"
    assert [layer.media_type.rsplit(".", 1)[1] for layer in model.manifest.layers] == [
        "model",
        "system",
        "license",
        "template",
        "license",
    ]
    assert {layer.origin for layer in model.manifest.layers} == {"a:latest", ""}


def test_parameters_are_merged_and_have_the_golden_digests(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("a", base="test", parameters={"temperature": 1, "top_k": 10.0,
                                       "stop": ["USER:", "ASSISTANT:"]})  # fmt: skip
    assert layer_digest(library, "a", "params") == (
        "1d0ad71299d48c2fb7ae2b98e683643e771f8a5b72be34942af90d97a91c1e37"
    )
    make("b", base="a", parameters={"temperature": 0.6, "top_p": 0.7})
    assert layer_digest(library, "b", "params") == (
        "e29a7b3c47287a2489c895d21fe413c20f859a85d20e749492f52a838e36e1ba"
    )
    make("c", base="b", parameters={"stop": ["<|endoftext|>"]})
    assert layer_digest(library, "c", "params") == (
        "12f58bb75cb3042d69a7e013ab87fb3c3c7088f50ddc62f0c77bd332f0d44d35"
    )
    make("d", base="c", parameters={"anything": {"b": [None], "a": True}})
    assert library.get(ModelName.parse("d")).parameters["anything"] == {"a": True, "b": [None]}


def test_messages_have_the_golden_digest(
    library: Library, make: Make, test_model: ModelName
) -> None:
    messages = (
        Message("assistant", "What is my purpose?"),
        Message("User", "You run tests."),
        Message("assistant", "Oh, my god."),
    )
    make("a", base="test", messages=messages)
    assert layer_digest(library, "a", "messages") == (
        "298baeaf6928a60cf666d88d64a1ba606feb43a2865687c39e40652e407bffc4"
    )
    assert [m.role for m in library.get(ModelName.parse("a")).messages] == [
        "assistant",
        "user",
        "assistant",
    ]


def test_a_model_that_comes_again_in_another_case_is_the_same(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("TEST", base="Test:LATEST", system="other")
    assert [model.name.display for model in library.list()] == ["test:latest"]
    make("Library/new", base="test")
    assert library.get(ModelName.parse("NEW")).name.full == (
        "registry.ollama.ai/library/new:latest"
    )


def test_replacing_a_model_removes_what_only_it_used(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("a", base="test", system="one")
    make("b", base="test", system="two")
    before = blob_names(library)
    make("a", base="test", system="two")
    gone = before - blob_names(library)
    assert gone == {"sha256:" + hashlib.sha256(b"one").hexdigest()}
    kept = Library(library.root, prune_replaced=False)
    list(create(kept, CreateRequest("b", base="test", system="three"), lambda text: None))
    assert before - blob_names(library) == gone


def test_a_failed_create_leaves_the_old_model(
    library: Library, make: Make, test_model: ModelName, tmp_path: Path
) -> None:
    make("a", base="test", system="one")
    before = digest(library, "a")
    bad = upload(library, write_gguf(tmp_path / "f", {"general.architecture": ""}))
    with pytest.raises(InvalidGguf):
        make("a", files={"f.gguf": bad})
    assert digest(library, "a") == before
    assert library.blobs.exists(bad)


def test_leaving_at_any_line_leaves_the_old_model_and_no_lock(
    library: Library, test_model: ModelName
) -> None:
    request = CreateRequest("a", base="test", system="new", parameters={"seed": 1})
    lines = len(list(create(library, request, lambda text: None)))
    library.delete(ModelName.parse("a"))
    for stop in range(1, lines):
        steps = create(library, request, lambda text: None)
        for _ in range(stop):
            next(steps)
        del steps
        assert [model.name.display for model in library.list()] == ["test:latest"]
    library.delete(test_model)


def test_weights_are_described_in_the_config(library: Library, make: Make, tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "f", metadata={"general.file_type": 1})
    make("a", files={"m.gguf": upload(library, path)}, renderer="r", requires="0.1.0")
    model = library.get(ModelName.parse("a"))
    config = model.config
    assert (config.model_format, config.model_family) == ("gguf", "llama")
    assert (config.model_families, config.model_type) == (("llama",), "128K")
    assert (config.file_type, config.renderer, config.requires) == ("F16", "r", "0.1.0")
    make("b", base="a", parser="p")
    config = library.get(ModelName.parse("b")).config
    assert (config.renderer, config.parser, config.requires) == ("r", "p", "0.1.0")


def test_info_corrects_the_config(library: Library, make: Make, test_model: ModelName) -> None:
    info = {
        "model_family": "fam",
        "parameter_size": "7B",
        "quantization_level": "Q1",
        "context_length": 12,
        "embedding_length": 3.0,
        "base_name": "base",
        "capabilities": ["thinking"],
        "unknown": object(),
    }
    make("a", base="test", info=info)
    config = library.get(ModelName.parse("a")).config
    assert (config.model_family, config.model_families) == ("fam", ("fam", "test"))
    assert (config.model_type, config.file_type, config.base_name) == ("7B", "Q1", "base")
    assert (config.context_length, config.embedding_length) == (12, 3)
    assert library.get(ModelName.parse("a")).capabilities() == ("thinking", "completion")


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"base_name": 1}, 'info field "base_name" must be a string'),
        ({"context_length": "1"}, 'info field "context_length" must be a number'),
        ({"context_length": -1}, 'info field "context_length" must be a non-negative integer'),
        ({"embedding_length": 0.5}, 'info field "embedding_length" must be a non-negative integer'),
        ({"capabilities": "a"}, 'info field "capabilities" must be a list of strings'),
    ],
)
def test_info_of_another_type_is_refused(
    make: Make, test_model: ModelName, info: dict[str, object], text: str
) -> None:
    with pytest.raises(CreateError) as caught:
        make("a", base="test", info=info)
    assert str(caught.value) == text


def test_files_are_classified_by_what_they_say(
    library: Library, make: Make, tmp_path: Path
) -> None:
    weights = upload(library, tiny_llama(tmp_path / "w"))
    clip = {"general.architecture": "clip", "clip.has_vision_encoder": True}
    projector = upload(library, write_gguf(tmp_path / "p", clip))
    adapter = upload(library, lora_adapter(tmp_path / "a"))
    files = {"w.gguf": weights, "a/mmproj.gguf": projector}
    lines = make("a", files=files, adapters={"lora.gguf": adapter})
    assert lines.count("parsing GGUF") == 3
    model = library.get(ModelName.parse("a"))
    assert model.weights == library.blobs.path(weights)
    assert model.projectors == (library.blobs.path(projector),)
    assert model.adapters == (library.blobs.path(adapter),)
    assert model.config.model_families == ("llama", "clip")
    assert model.capabilities() == ("completion", "vision")


def refused(make: Make, **fields: object) -> StoreError:
    with pytest.raises(StoreError) as caught:
        make(str(fields.pop("model", "x")), **fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({}, CreateError, "neither 'from' or 'files' was specified"),
        ({"files": {}}, CreateError, "unknown type"),
        ({"model": "", "files": {}}, InvalidName, "invalid model name"),
        ({"model": "../x"}, InvalidName, "invalid model name"),
        ({"base": "a/b/c/d"}, InvalidName, "invalid model name"),
        ({"files": {"/a": ABSENT}}, CreateError, "file path must be relative"),
        ({"files": {"a/../b": ABSENT}}, CreateError, "file path must be relative"),
        ({"files": {"a/": ABSENT}}, CreateError, "file path must be relative"),
        ({"files": {"": ABSENT}}, CreateError, "file path must be relative"),
        ({"files": {"a.gguf": ""}}, InvalidDigest, "invalid digest format"),
        ({"files": {"a.gguf": "x"}}, InvalidDigest, "invalid digest format"),
        ({"files": {"a.gguf": "sha256:../../x"}}, InvalidDigest, "invalid digest format"),
        ({"files": {"a.gguf": ABSENT}}, BlobNotFound, "no such file or directory"),
        ({"files": {"a": ABSENT}}, BlobNotFound, "no such file or directory"),
        ({"files": {"a.safetensors": ABSENT}}, CreateError, "not supported yet"),
        ({"draft_quantize": "Q8_0"}, CreateError, "--draft-quantize requires a DRAFT model"),
        ({"base": "test", "adapters": {"a": ""}}, InvalidDigest, "invalid digest format"),
        ({"base": "test", "adapters": {"../a": ABSENT}}, CreateError, "relative: ../a"),
        ({"base": "test", "adapters": {"a": ABSENT, "b": ABSENT}}, CreateError, "only one"),
        ({"base": "test", "quantize": "Q9_9"}, CreateError, "unsupported quantization type Q9_9"),
        ({"base": "test", "parameters": {"a": float("nan")}}, CreateError, "unsupported value"),
    ],
)
def test_what_cannot_be_made_says_why(
    make: Make, test_model: ModelName, fields: dict[str, object], kind: type, text: str
) -> None:
    error = refused(make, **fields)
    assert type(error) is kind
    assert text in str(error)


def test_bytes_that_are_no_gguf_are_refused(library: Library, make: Make) -> None:
    blob = library.blobs.put(b"abc").digest
    assert str(refused(make, files={"a.gguf": blob})) == "supplied file was not in GGUF format"
    assert str(refused(make, files={"a.bin": blob})) == "unknown type"


def test_second_models_and_split_adapters_are_refused(
    library: Library, make: Make, tmp_path: Path, minimal_gguf: bytes
) -> None:
    keys = {"general.architecture": "llama", "split.count": 2, "split.no": 0}
    split = upload(library, write_gguf(tmp_path / "s", keys))
    one = library.blobs.put(minimal_gguf).digest
    assert "second model" in str(refused(make, files={"a.gguf": one, "b.gguf": one}))
    adapters = {"l-00001-of-00002.gguf": split}
    error = refused(make, files={"a.gguf": one}, adapters=adapters)
    assert "cannot be an adapter" in str(error)


def test_an_absent_base_is_an_error_after_a_line(library: Library) -> None:
    steps = create(library, CreateRequest("a", base="absent"), lambda text: None)
    assert next(steps) == Progress("pulling manifest")
    with pytest.raises(CreateError) as caught:
        next(steps)
    assert str(caught.value) == "pull model manifest: file does not exist"
    assert (caught.value.code, caught.value.reason) == ("INTERNAL", "CREATE_FAILED")


def test_a_template_that_does_not_parse_is_refused(library: Library, test_model: ModelName) -> None:
    def check(template: str) -> None:
        raise ValueError("template: :1: unclosed action")

    with pytest.raises(CreateError) as caught:
        list(create(library, CreateRequest("a", base="test", template="{{"), check))
    assert str(caught.value) == "template error: template: :1: unclosed action"


def test_reused_blobs_are_made_young(library: Library, make: Make, test_model: ModelName) -> None:
    for entry in library.blobs.files():
        os.utime(entry.path, (1, 1))
    make("a", base="test")
    ages = [time.time() - entry.stat().st_mtime for entry in library.blobs.files()]
    assert max(ages) < 3600


def test_a_blob_that_vanishes_before_the_end_fails_the_create(
    library: Library, test_model: ModelName
) -> None:
    steps = create(library, CreateRequest("a", base="test", system="s"), lambda text: None)
    while next(steps).status != "writing manifest":
        pass
    library.blobs.delete(GGUF_DIGEST)
    with pytest.raises(BlobNotFound):
        next(steps)
    assert [path.parent.name for path in library.manifests.files()] == ["test"]


def test_text_that_is_not_unicode_is_stored_as_replacement(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("a", base="test", system="a\ud800b", parameters={"stop": ["\ud800"]})
    model = library.get(ModelName.parse("a"))
    assert model.system == "a\ufffdb"
    assert json.dumps(model.parameters["stop"]) == '["\\ufffd"]'
