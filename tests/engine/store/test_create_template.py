"""Named templates that are found for what an uploaded file has in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gguf_files import lora_adapter, tiny_llama, write_gguf
from llamawire.engine.store import (
    ChatTemplate,
    CreateRequest,
    Library,
    ModelName,
    NamedTemplate,
    create,
)
from llamawire.engine.store.chat_template import chat_template
from llamawire.engine.store.gguf import read_gguf
from llamawire.engine.templates import check_template, detect_template

PHI_3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\\n' + "
    "message['content'] + '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' }}"
)
STOP = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
PARAMS_DIGEST = "sha256:0d79f567714c62c048378f2107fb332dabee0135d080c302d884317da9433cc5"


@pytest.fixture
def weights(library: Library, tmp_path: Path) -> str:
    keys = {"general.architecture": "test", "tokenizer.chat_template": PHI_3}
    return library.blobs.put(write_gguf(tmp_path / "f", keys).read_bytes()).digest


def make(library: Library, weights: str, **fields: object) -> list[str]:
    request = CreateRequest("a", files={"a.gguf": weights}, **fields)  # type: ignore[arg-type]
    return [line.status for line in create(library, request, check_template, detect_template)]


def kinds(library: Library) -> list[str]:
    layers = library.entry(ModelName.parse("a")).manifest.layers
    return [layer.media_type.rsplit(".", 1)[1] for layer in layers]


def test_the_template_and_its_stop_list_are_stored(library: Library, weights: str) -> None:
    assert make(library, weights) == [
        "parsing GGUF",
        f"using existing layer {weights}",
        "using autodetected template phi-3",
        f"creating new layer {PARAMS_DIGEST}",
        "writing manifest",
        "success",
    ]
    model = library.get(ModelName.parse("a"))
    assert model.parameters == {"stop": STOP}
    assert model.template is not None
    assert "<|end|>" in model.template
    assert kinds(library) == ["model", "template", "params"]


def test_the_place_of_the_template_is_behind_the_weights(library: Library, tmp_path: Path) -> None:
    template = {"tokenizer.chat_template": PHI_3}
    weights, adapter = (
        library.blobs.put(path.read_bytes()).digest
        for path in (tiny_llama(tmp_path / "w", metadata=template), lora_adapter(tmp_path / "l"))
    )
    make(library, weights, adapters={"l.gguf": adapter}, system="s")
    assert kinds(library) == ["model", "template", "adapter", "system", "params"]


def test_what_a_request_says_goes_before(library: Library, weights: str) -> None:
    lines = make(library, weights, template="{{ .Prompt }}!", parameters={"seed": 1})
    assert not any("autodetected" in line for line in lines)
    model = library.get(ModelName.parse("a"))
    assert model.template == "{{ .Prompt }}!"
    assert model.parameters == {"seed": 1, "stop": STOP}
    make(library, weights, parameters={"stop": ["x"]})
    assert library.get(ModelName.parse("a")).parameters == {"stop": ["x"]}


def test_a_model_made_from_another_keeps_its_template(library: Library, weights: str) -> None:
    make(library, weights)
    request = CreateRequest("b", base="a")
    lines = [line.status for line in create(library, request, check_template, detect_template)]
    assert not any("autodetected" in line for line in lines)
    first, second = (library.get(ModelName.parse(name)) for name in "ab")
    assert (first.template, first.parameters) == (second.template, second.parameters)


def test_the_template_survives_a_delete_while_the_model_is_made(
    library: Library, weights: str
) -> None:
    make(library, weights)
    request = CreateRequest("b", files={"a.gguf": weights})
    steps = create(library, request, check_template, detect_template)
    while next(steps).status != "writing manifest":
        pass
    copy = library.blobs.require(weights).read_bytes()
    library.delete(ModelName.parse("a"))
    library.blobs.put(copy)
    assert [line.status for line in steps] == ["success"]
    assert library.get(ModelName.parse("b")).template is not None


def test_the_tokens_of_a_file_are_known(tmp_path: Path) -> None:
    asked: list[ChatTemplate | None] = []
    for index, keys in enumerate(
        (
            {},
            {"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.bos_token_id": 3},
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2"},
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"},
            {"tokenizer.ggml.eos_token_id": None, "tokenizer.ggml.bos_token_id": 10**6},
        )
    ):
        metadata = {"tokenizer.chat_template": "x", **keys}
        path = tiny_llama(tmp_path / str(index), metadata=metadata)
        asked.append(chat_template(read_gguf(path)))
    assert asked == [
        ChatTemplate("x", "<s>", "</s>", adds_bos=True),
        ChatTemplate("x", "<0x00>", "</s>", adds_bos=False),
        ChatTemplate("x", "<s>", "</s>", adds_bos=False),
        ChatTemplate("x", "<s>", "</s>", adds_bos=True),
        ChatTemplate("x", "", "", adds_bos=True),
    ]
    assert chat_template(read_gguf(tiny_llama(tmp_path / "none"))) is None


def test_a_detector_that_knows_nothing_changes_nothing(library: Library, weights: str) -> None:
    def detect(template: ChatTemplate) -> NamedTemplate | None:
        assert template.text == PHI_3
        return None

    request = CreateRequest("a", files={"a.gguf": weights})
    list(create(library, request, check_template, detect))
    assert kinds(library) == ["model"]
