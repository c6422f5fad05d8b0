"""The formats by name, and which one a model writes.

A model that says so has its format by name. Else its template tells: it writes down earlier calls
the way the model was taught to. A Go template is of Ollama's making, where every format that is
JSON after a tag is read by one generic rule; those that are not have readers of their own.
"""

from collections.abc import Mapping
from typing import Final

from llamawire.engine.prompt.output.format import OutputFormat
from llamawire.engine.prompt.output.formats.deepseek import (
    CALL,
    CALLS,
    DEEPSEEK_TAGS,
    read_deepseek,
)
from llamawire.engine.prompt.output.formats.gemma import (
    FUNCTIONGEMMA_OPENING,
    FUNCTIONGEMMA_TAGS,
    GEMMA4_OPENING,
    GEMMA4_TAGS,
    read_functiongemma,
    read_gemma4,
    read_pythonic,
    read_tool_code,
)
from llamawire.engine.prompt.output.formats.generic import generic_reader
from llamawire.engine.prompt.output.formats.harmony import (
    ANALYSIS,
    FINAL_MESSAGE,
    MARKS,
    read_harmony,
)
from llamawire.engine.prompt.output.formats.llama import PYTHON_TAG, read_llama
from llamawire.engine.prompt.output.formats.mistral import MISTRAL_TAGS, read_mistral
from llamawire.engine.prompt.output.formats.tool_call import (
    OPENING,
    TOOL_CALL_TAGS,
    read_functions,
    read_tool_calls,
)
from llamawire.engine.prompt.output.thinking import ThinkingTags

__all__ = ["FORMATS", "choose_output_format", "generic_format", "output_format"]

_THINK: Final = ThinkingTags("<think>", "</think>")
_THINK_OR_CALL: Final = ThinkingTags("<think>", "</think>", ("<tool_call>",))
_THINK_END: Final = "\n</think>\n\n"

_ALL: Final = (
    OutputFormat(
        "qwen3", read_tool_calls, _THINK_OR_CALL, thinking_end=_THINK_END, tags=TOOL_CALL_TAGS
    ),
    OutputFormat(
        "qwen3-coder", read_functions, _THINK_OR_CALL, thinking_end=_THINK_END, tags=TOOL_CALL_TAGS
    ),
    OutputFormat("llama3", read_llama, tags=(PYTHON_TAG,)),
    OutputFormat("pythonic", read_pythonic),
    OutputFormat(
        "mistral",
        read_mistral,
        ThinkingTags("[THINK]", "[/THINK]"),
        thinking_end="[/THINK]",
        tags=MISTRAL_TAGS,
    ),
    OutputFormat("gemma", read_tool_code),
    OutputFormat("functiongemma", read_functiongemma, tags=FUNCTIONGEMMA_TAGS),
    OutputFormat(
        "gemma4",
        read_gemma4,
        ThinkingTags("<|channel>thought", "<channel|>", (GEMMA4_OPENING,)),
        thinking_end="<channel|>",
        tags=GEMMA4_TAGS,
    ),
    OutputFormat("deepseek", read_deepseek, _THINK, thinking_end=_THINK_END, tags=DEEPSEEK_TAGS),
    OutputFormat(
        "harmony",
        read_harmony,
        think_levels=("low", "medium", "high"),
        thinking_end=FINAL_MESSAGE,
        has_channels=True,
        channel_of_thinking=ANALYSIS,
        tags=MARKS,
    ),
)

FORMATS: Final[Mapping[str, OutputFormat]] = {format_.name: format_ for format_ in _ALL}

# Names that models which were made for Ollama bring along.
_ALIASES: Final[Mapping[str, str]] = {
    "qwen3-thinking": "qwen3",
    "qwen3-vl-instruct": "qwen3",
    "qwen3-vl-thinking": "qwen3",
    "hermes": "qwen3",
    "qwen3.5": "qwen3-coder",
    "nemotron-3-nano": "qwen3-coder",
    "ministral": "mistral",
    "deepseek3": "deepseek",
}

_BY_FAMILY: Final[Mapping[str, str]] = {
    "gptoss": "harmony",
    "gpt-oss": "harmony",
    "gemma4": "gemma4",
}

# What is found in a template first decides, so what other formats also write comes last.
_MARKS: Final = (
    (("<|channel|>", "<|message|>"), "harmony"),
    ((GEMMA4_OPENING, "call:"), "gemma4"),
    ((FUNCTIONGEMMA_OPENING,), "functiongemma"),
    ((CALLS,), "deepseek"),
    ((CALL,), "deepseek"),
    (("[TOOL_CALLS]",), "mistral"),
    (("<function=", "<parameter="), "qwen3-coder"),
    ((OPENING,), "qwen3"),
    ((PYTHON_TAG,), "llama3"),
    (("<|start_header_id|>",), "llama3"),
    (("<start_of_turn>",), "gemma"),
)

# Formats that the generic rule can read: a tag, a name, JSON.
_GENERIC: Final = frozenset({"qwen3", "llama3", "mistral", "deepseek", "gemma"})


def output_format(name: str) -> OutputFormat | None:
    """The format of that name, or of one that Ollama has for it."""
    return FORMATS.get(_ALIASES.get(name, name))


def generic_format(
    tool_call_tag: str, thinking_tags: tuple[str, str] | None = None
) -> OutputFormat:
    """For a model of which only the tags are known."""
    plain = OutputFormat("generic", generic_reader(tool_call_tag), tags=(tool_call_tag,))
    return plain.with_thinking(*thinking_tags) if thinking_tags else plain


def choose_output_format(
    go_template: str | None,
    chat_template: str | None,
    family: str = "",
    thinking_tags: tuple[str, str] | None = None,
    tool_call_tag: str = "{",
) -> OutputFormat:
    """The format of a model with these templates; a Go template comes before the GGUF's own.

    The tags are what the templates' parsers found in them (`GoPrompt`, `JinjaPrompt`).
    """
    template = go_template if go_template is not None else chat_template or ""
    name = _BY_FAMILY.get(family.lower()) or _marked(template)
    if name is None or (go_template is not None and name in _GENERIC):
        return generic_format(tool_call_tag, thinking_tags)
    return _with_tags_of(template, FORMATS[name], thinking_tags)


def _marked(template: str) -> str | None:
    return next((name for marks, name in _MARKS if all(mark in template for mark in marks)), None)


def _with_tags_of(
    template: str, format_: OutputFormat, thinking_tags: tuple[str, str] | None
) -> OutputFormat:
    """The format with the thinking that this template knows of: its family may have had more."""
    if format_.has_channels:
        return format_
    if format_.thinking and format_.thinking.opening in template:
        return format_
    if thinking_tags:
        return format_.with_thinking(*thinking_tags)
    return format_.without_thinking()
