"""Which format a model writes."""

import pytest

from llamawire.engine.prompt import ThinkValue
from llamawire.engine.prompt.output import (
    FORMATS,
    choose_output_format,
    generic_format,
    output_format,
)

THINK = ("<think>", "</think>")


@pytest.mark.parametrize(
    ("template", "family", "name"),
    [
        ("{{ '<tool_call>' }}<think></think>", "qwen3", "qwen3"),
        ("<tool_call>\n<function=x>\n<parameter=y>", "qwen3moe", "qwen3-coder"),
        ("[TOOL_CALLS]", "llama", "mistral"),
        ("<|start_header_id|>assistant<|end_header_id|>", "llama", "llama3"),
        ("<start_of_turn>model", "gemma3", "gemma"),
        ("<start_of_turn>model<start_function_call>", "gemma3", "functiongemma"),
        ("<|tool_call>call:", "", "gemma4"),
        ("<｜tool▁calls▁begin｜>", "deepseek2", "deepseek"),  # noqa: RUF001
        ("<|start|>assistant<|channel|>final<|message|>", "", "harmony"),
        ("", "gptoss", "harmony"),
        ("<|im_start|>", "x", "generic"),
    ],
)
def test_a_template_of_a_gguf_tells_its_format(template: str, family: str, name: str) -> None:
    assert choose_output_format(None, template, family).name == name


@pytest.mark.parametrize(
    ("template", "family", "name"),
    [
        ('<tool_call>\n{"name":', "qwen3", "generic"),
        ("[TOOL_CALLS] [", "llama", "generic"),
        ("<tool_call>\n<function=x>\n<parameter=y>", "qwen3moe", "qwen3-coder"),
        ("<|start|>assistant<|channel|>final<|message|>", "", "harmony"),
    ],
)
def test_a_go_template_is_read_by_the_generic_rule_if_that_can_read_it(
    template: str, family: str, name: str
) -> None:
    assert choose_output_format(template, "[TOOL_CALLS]", family).name == name


def test_a_model_thinks_between_the_tags_of_its_template() -> None:
    chosen = choose_output_format(None, "[TOOL_CALLS]<think></think>", "llama", THINK)
    assert chosen.thinking
    assert chosen.thinking.opening == "<think>"
    with_own = choose_output_format(None, "[TOOL_CALLS][THINK]", "llama", None)
    assert with_own.thinking
    assert with_own.thinking.closing == "[/THINK]"
    assert choose_output_format(None, "<tool_call>", "qwen2", None).thinking is None
    assert choose_output_format("x", None, "", THINK, "{").thinking


@pytest.mark.parametrize(
    ("name", "think", "expected"),
    [
        ("harmony", "max", "high"),
        ("harmony", "low", "low"),
        ("harmony", True, True),
        ("harmony", None, None),
        ("qwen3", "max", "max"),
        ("qwen3", False, False),
    ],
)
def test_a_level_is_rendered_as_the_model_knows_it(
    name: str, think: ThinkValue, expected: ThinkValue
) -> None:
    assert FORMATS[name].rendered_think(think) == expected


def test_formats_have_the_names_that_models_for_ollama_bring() -> None:
    assert output_format("harmony") is FORMATS["harmony"]
    assert output_format("qwen3-thinking") is FORMATS["qwen3"]
    assert output_format("unheard-of") is None
    assert generic_format("").name == "generic"
