from __future__ import annotations

from pathlib import Path

import pytest

from gguf_files import write_gguf
from llamawire.engine.store import ConfigBlob, Gguf, read_gguf
from llamawire.engine.store.capabilities import capabilities, choose_template, listed

GO_TOOLS = '{{ .Tools }}{{ .ToolCalls }}{{ if eq .Role "tool" }}{{ end }}'
JINJA_TOOLS = "{{ tools }}{% if message.tool_calls %}{% if message.role == 'tool' %}"
JINJA_THINKS = "<think></think>"
PLAIN = ConfigBlob()


def go_capabilities(template: str) -> set[str]:
    words = {"tools": ".Tools", "insert": ".Suffix", "thinking": ".Thinking"}
    return {kind for kind, word in words.items() if word in template}


def header(tmp_path: Path, **metadata: object) -> Gguf:
    keys = {key.replace("__", "."): value for key, value in metadata.items()}
    return read_gguf(write_gguf(tmp_path / "f", {"general.architecture": "a", **keys}))


@pytest.mark.parametrize(
    ("config", "go", "jinja", "prefer_go", "choice"),
    [
        (PLAIN, None, None, None, "default"),
        (PLAIN, "{{ .Prompt }}", None, None, "go"),
        (PLAIN, "{{ .Prompt }}", None, False, "default"),
        (PLAIN, None, "{{ messages }}", None, "jinja"),
        (PLAIN, "{{ .Prompt }}", "{{ messages }}", None, "go"),
        (PLAIN, "{{ .Prompt }}", "{{ messages }}", False, "jinja"),
        (PLAIN, "{{ .Prompt }}", JINJA_TOOLS, None, "jinja"),
        (PLAIN, "{{ .Prompt }}", JINJA_TOOLS, True, "go"),
        (PLAIN, GO_TOOLS, JINJA_TOOLS, None, "go"),
        (PLAIN, "{{ .Tools }}", JINJA_TOOLS, None, "jinja"),
        (PLAIN, GO_TOOLS, "{{ tools }}" + JINJA_THINKS, None, "go"),
        (PLAIN, GO_TOOLS, JINJA_TOOLS + JINJA_THINKS, None, "jinja"),
        (ConfigBlob(parser="p"), "{{ .Prompt }}", JINJA_TOOLS, None, "builtin"),
        (ConfigBlob(model_family="gptoss"), "<|start|><|end|>", JINJA_TOOLS, None, "harmony"),
    ],
)
def test_the_template_that_does_more_is_chosen(
    config: ConfigBlob, go: str | None, jinja: str | None, prefer_go: bool | None, choice: str
) -> None:
    assert choose_template(config, go, jinja, go_capabilities, prefer_go) == choice


def test_a_go_template_comes_after_completion_and_jinja_before(tmp_path: Path) -> None:
    gguf = header(tmp_path)
    template = "{{ .Tools }}{{ .Suffix }}{{ .Thinking }}"
    assert capabilities(PLAIN, gguf, [], template, go_capabilities) == (
        "completion",
        "tools",
        "insert",
        "thinking",
    )
    jinja = header(tmp_path, tokenizer__chat_template=JINJA_TOOLS + JINJA_THINKS)
    assert capabilities(PLAIN, jinja, [], None, go_capabilities) == (
        "tools",
        "thinking",
        "completion",
    )
    assert listed(PLAIN, jinja, False, None, go_capabilities) == ("completion",)


@pytest.mark.parametrize(
    ("template", "thinks"),
    [
        (JINJA_THINKS, True),
        ("<think>", False),
        ("content.split('</think>')", True),
        ("content.split('</think>') reasoning_content", False),
        ("content.split('</think>') <SPECIAL_12>", False),
    ],
)
def test_thinking_is_seen_in_a_jinja_template(tmp_path: Path, template: str, thinks: bool) -> None:
    gguf = header(tmp_path, tokenizer__chat_template=template)
    assert ("thinking" in capabilities(PLAIN, gguf, [], None, go_capabilities)) is thinks


def test_the_header_says_what_a_model_sees_and_hears(tmp_path: Path) -> None:
    gguf = header(tmp_path, a__pooling_type=1, a__audio__block_count=1, a__vision__block_count=2)
    assert capabilities(PLAIN, gguf, [], None, go_capabilities) == ("embedding", "vision", "audio")
    assert listed(PLAIN, gguf, False, None, go_capabilities) == ("audio", "vision", "embedding")


def test_a_projector_adds_its_senses(tmp_path: Path) -> None:
    deaf = header(tmp_path, clip__has_vision_encoder=True)
    hearing = header(tmp_path, clip__has_audio_encoder=True)
    gguf = header(tmp_path)
    assert capabilities(PLAIN, gguf, [deaf], None, go_capabilities) == ("completion", "vision")
    assert capabilities(PLAIN, gguf, [deaf, hearing], None, go_capabilities) == (
        "completion",
        "vision",
        "audio",
    )
    omni = ConfigBlob(model_family="nemotron_h_omni")
    assert "audio" not in capabilities(omni, gguf, [hearing], None, go_capabilities)


def test_the_config_comes_first_and_nothing_twice(tmp_path: Path) -> None:
    config = ConfigBlob(model_family="gptoss", capabilities=("thinking", "completion"))
    gguf = header(tmp_path)
    assert capabilities(config, gguf, [], None, go_capabilities) == ("thinking", "completion")
    assert listed(config, None, True, None, go_capabilities) == (
        "thinking",
        "completion",
        "vision",
    )
