from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.engine.store import ConfigBlob, CorruptManifest, Layer, Manifest
from llamawire.engine.store.manifest import CONFIG, MODEL, TEMPLATE

DIGEST = "sha256:" + "0" * 64
LAYER = Layer(MODEL, DIGEST, 68)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_what_is_written_reads_back() -> None:
    manifest = Manifest(Layer(CONFIG, DIGEST, 1), (LAYER, Layer(TEMPLATE, DIGEST, 2, "a:b", "n")))
    assert Manifest.decode(manifest.encode()) == manifest
    assert manifest.size == 71
    assert manifest.encode().endswith(b'"from":"a:b","name":"n"}]}\n')


def test_no_layers_are_null() -> None:
    assert b'"layers":null}' in Manifest(Layer(CONFIG, DIGEST, 1), ()).encode()


def test_reading_is_patient() -> None:
    text = json.dumps(
        {
            "layers": [{"digest": "sha256-" + "A" * 64, "more": [1], "size": 3, "from": None}],
            "unknown": {},
            "config": {"digest": "", "size": 0},
        },
        indent=3,
    )
    manifest = Manifest.decode(text.encode())
    assert manifest == Manifest(None, (Layer("", "sha256:" + "a" * 64, 3),))
    assert Manifest.decode(b"{}") == Manifest(None, ())


def test_the_last_of_several_layers_counts() -> None:
    manifest = Manifest(None, (LAYER, Layer(MODEL, DIGEST, 2), Layer(TEMPLATE, DIGEST, 3)))
    last = manifest.last(MODEL)
    assert last is not None
    assert last.size == 2
    assert manifest.last("other") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"layers":1}',
        '{"layers":[1]}',
        '{"layers":[{"digest":"x"}]}',
        '{"layers":[{"digest":"../../x","size":1}]}',
        f'{{"layers":[{{"digest":"{DIGEST}","size":-1}}]}}',
        f'{{"layers":[{{"digest":"{DIGEST}","size":"1"}}]}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_corrupt(text: str) -> None:
    with pytest.raises(CorruptManifest):
        Manifest.decode(text.encode())


@given(JSON_VALUES | st.dictionaries(st.sampled_from(["layers", "config"]), JSON_VALUES))
def test_no_json_does_worse_than_corrupt(value: object) -> None:
    for kind in (Manifest, ConfigBlob):
        try:
            kind.decode(json.dumps(value).encode())
        except CorruptManifest:
            continue


def test_a_config_reads_back_and_ignores_rootfs() -> None:
    config = ConfigBlob(
        "gguf", "llama", ("llama", "clip"), "8.0B", "Q4_K_M", renderer="r", capabilities=("a",)
    )
    text = config.encode()
    assert ConfigBlob.decode(text) == config
    assert text.endswith(b'"architecture":"amd64","os":"linux"}\n')
    old = text.replace(b'"linux"}', b'"linux","rootfs":{"type":"layers","diff_ids":["x"]}}')
    assert ConfigBlob.decode(old) == config
