"""Finds the Go template that does what a Jinja template does.

Nobody compares texts: both templates write down a few short conversations, and only one whose every
prompt is the same counts. So a Jinja template with a default system prompt, a date or a quirk of
its own matches nothing, and is used itself.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from llamawire.engine.prompt.errors import TemplateError
from llamawire.engine.prompt.families import FAMILIES, Family
from llamawire.engine.prompt.jinja import JinjaPrompt
from llamawire.engine.prompt.messages import Message
from llamawire.engine.prompt.render import GoPrompt, PromptTemplate

__all__ = ["detect"]

_CACHED_MAX: Final = 128

_SYSTEM: Final = Message("system", "You guard the lighthouse.")
_USER: Final = Message("user", 'Is 2 < 3 & "4" > 1?\nSay it isn\'t so.')
_ASSISTANT: Final = Message("assistant", "It's so: <b>7</b> {x}.")
_AGAIN: Final = Message("user", "And 8?")

_PLAIN: Final = ((_USER,), (_USER, _ASSISTANT, _AGAIN, _ASSISTANT, _USER))
_WITH_SYSTEM: Final = ((_SYSTEM, _USER), (_SYSTEM, _USER, _ASSISTANT, _AGAIN))


def detect(text: str, bos: str, eos: str, *, adds_bos: bool) -> tuple[Family, str] | None:
    """The family of a Jinja template, and the Go template of it that renders the same.

    `bos` and `eos` are the texts of the model's tokens; with `adds_bos` the tokenizer writes the
    first one. A template that knows tools or thinking can do more than any of ours: None.
    """
    if "{{" in eos:  # It goes into the text of a Go template.
        return None
    try:
        jinja = JinjaPrompt(text, bos, eos)
    except TemplateError:
        return None
    if jinja.supports_tools or jinja.thinking_tags:
        return None
    prefix = bos if adds_bos else ""
    plain = _without(prefix, _prompts(jinja, _PLAIN))
    with_system = _without(prefix, _prompts(jinja, _WITH_SYSTEM))
    shows_system = any(prompt and _SYSTEM.content in prompt for prompt in with_system)
    if None in plain:
        return None
    wanted = (*plain, *(with_system if shows_system else ()))
    for family in FAMILIES:
        if family.needs_system and not shows_system:
            continue
        for template in family.variants(eos):
            if _go_prompts(template)[: len(wanted)] == wanted:
                return family, template
    return None


def _prompts(
    template: PromptTemplate, probes: Sequence[Sequence[Message]]
) -> tuple[str | None, ...]:
    return tuple(_prompt(template, probe) for probe in probes)


def _prompt(template: PromptTemplate, probe: Sequence[Message]) -> str | None:
    """None if the template refuses the conversation, as some do with a system prompt."""
    try:
        return template.render(probe)
    except TemplateError:
        return None


def _without(prefix: str, prompts: Sequence[str | None]) -> tuple[str | None, ...]:
    return tuple(prompt and prompt.removeprefix(prefix) for prompt in prompts)


@lru_cache(_CACHED_MAX)
def _go_prompts(template: str) -> tuple[str | None, ...]:
    return _prompts(GoPrompt(template), (*_PLAIN, *_WITH_SYSTEM))
