"""Parsed templates, kept: a template's text is parsed once and rendered for every request."""

from __future__ import annotations

from functools import lru_cache

from llamawire.engine.prompt import GoPrompt, JinjaPrompt, TemplateError, detect
from llamawire.engine.prompt.output import OutputFormat, choose_output_format
from llamawire.engine.store import ChatTemplate, NamedTemplate

__all__ = [
    "check_template",
    "detect_template",
    "go_prompt",
    "jinja_prompt",
    "output_format_of",
    "template_capabilities",
]

CACHED_MAX = 64


@lru_cache(CACHED_MAX)
def go_prompt(text: str) -> GoPrompt:
    """Raises TemplateSyntaxError."""
    return GoPrompt(text)


@lru_cache(CACHED_MAX)
def jinja_prompt(text: str, bos: str, eos: str) -> JinjaPrompt:
    """Raises TemplateSyntaxError."""
    return JinjaPrompt(text, bos, eos)


@lru_cache(CACHED_MAX)
def output_format_of(
    go_template: str | None, chat_template: str | None, family: str
) -> OutputFormat:
    """How a model with these templates writes thinking and calls of tools."""
    if go_template is not None:
        prompt = go_prompt(go_template)
        tags, tool_call_tag = prompt.thinking_tags, prompt.tool_call_tag
        return choose_output_format(go_template, chat_template, family, tags, tool_call_tag)
    tags = jinja_prompt(chat_template, "", "").thinking_tags if chat_template else None
    return choose_output_format(None, chat_template, family, tags)


def check_template(text: str) -> None:
    """Raises TemplateError with Go's text if it does not parse."""
    go_prompt(text)


def detect_template(chat: ChatTemplate) -> NamedTemplate | None:
    """The named Go template that renders as the one in a GGUF does, if there is one."""
    found = detect(chat.text, chat.bos, chat.eos, adds_bos=chat.adds_bos)
    if found is None:
        return None
    family, template = found
    return NamedTemplate(family.name, template, family.stop)


def template_capabilities(text: str) -> set[str]:
    """What a Go template uses; ValueError if it does not parse."""
    try:
        prompt = go_prompt(text)
    except TemplateError as error:
        raise ValueError(str(error)) from error
    used = {
        "tools": prompt.supports_tools,
        "insert": prompt.supports_suffix,
        "thinking": prompt.thinking_tags is not None,
    }
    return {name for name, is_used in used.items() if is_used}
