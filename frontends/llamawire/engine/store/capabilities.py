"""Which template a model is used with, and what it can do.

The answers of the list and of a single model differ a little, as Ollama's do: the list reads
only the beginning of a GGUF and does not look at the template in it. What a Go template uses is
found by a function that is handed in, since templates are no matter of the store; it gives
a subset of `tools`, `insert` and `thinking`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from llamawire.engine.store.gguf import Gguf
from llamawire.engine.store.manifest import ConfigBlob

__all__ = ["TemplateCapabilities", "TemplateChoice", "capabilities", "choose_template", "listed"]

TemplateCapabilities = Callable[[str], set[str]]
TemplateChoice = Literal["builtin", "harmony", "go", "jinja", "default"]

_GO_ROUND_TRIP = ('eq .Role "tool"', "tool_response", "TOOL_RESULTS")
_JINJA_ROUND_TRIP = (
    "tool_response",
    "tool_results",
    "ipython",
    "role'] == 'tool'",
    'role\'] == "tool"',
    "role\"] == 'tool'",
    'role"] == "tool"',
    "message.role == 'tool'",
    'message.role == "tool"',
)
_GO_TOOL_CALLS = re.compile(r"\.ToolCalls\b")


def choose_template(
    config: ConfigBlob,
    go: str | None,
    jinja: str | None,
    template_capabilities: TemplateCapabilities,
    prefer_go: bool | None = None,
) -> TemplateChoice:
    """Which of its templates a model is used with.

    `go` is the text of the template layer and `jinja` the one in the GGUF, each None if absent.
    `prefer_go` is the setting: True and False decide, None leaves it to what the templates can.
    """
    if config.renderer or config.parser:
        return "builtin"
    if go is not None and _is_gpt_oss(config) and "<|start|>" in go and "<|end|>" in go:
        return "harmony"
    if jinja is None:
        return "default" if go is None or prefer_go is False else "go"
    if go is None or prefer_go is False:
        return "jinja"
    if prefer_go is None and _jinja_does_more(go, jinja, template_capabilities(go)):
        return "jinja"
    return "go"


def capabilities(
    config: ConfigBlob,
    gguf: Gguf | None,
    projectors: Sequence[Gguf],
    template: str | None,
    template_capabilities: TemplateCapabilities,
    prefer_go: bool | None = None,
) -> tuple[str, ...]:
    """What a model can do, in the order in which it is shown; built-in parsers are not known here.

    Reads no file beyond the headers it is given. May raise what `template_capabilities` raises.
    """
    jinja = gguf.text("tokenizer.chat_template") if gguf else None
    choice = choose_template(config, template, jinja, template_capabilities, prefer_go)
    found = list(config.capabilities)
    if choice == "jinja" and jinja is not None:
        found += _of_jinja(jinja)
    if gguf is not None:
        found.append(_purpose(gguf))
        found += [kind for kind in ("vision", "audio") if gguf.has(f"{kind}.block_count")]
    if projectors:
        found.append("vision")
        found += ["audio"] if any(_hears(projector) for projector in projectors) else []
    if choice == "go" and template is not None:
        found += _of_go(template, template_capabilities)
    if _is_gpt_oss(config):
        found.append("thinking")
    is_omni = "nemotron_h_omni" in (config.model_family, gguf.architecture if gguf else "")
    return _distinct(item for item in found if not (is_omni and item == "audio"))


def listed(
    config: ConfigBlob,
    head: Gguf | None,
    has_projectors: bool,
    template: str | None,
    template_capabilities: TemplateCapabilities,
) -> tuple[str, ...]:
    """The same by the rules of the list, from the head of the GGUF only."""
    found: list[str] = []
    if head is not None:
        kinds = {head.key(f"{kind}.block_count"): kind for kind in ("vision", "audio")}
        found += [kinds[key] for key in head.metadata if key in kinds]
        found.append(_purpose(head))
    found += config.capabilities
    if template is not None:
        found += _of_go(template, template_capabilities)
    if _is_gpt_oss(config):
        found.append("thinking")
    if has_projectors:
        found.append("vision")
    return _distinct(found)


def _jinja_does_more(go: str, jinja: str, of_go: set[str]) -> bool:
    of_jinja = set(_of_jinja(jinja))
    go_returns = "tools" in of_go and bool(_GO_TOOL_CALLS.search(go)) and _any(_GO_ROUND_TRIP, go)
    jinja_returns = (
        "tools" in of_jinja
        and _any(("tool_calls", "assistant_tool_call"), jinja)
        and _any(_JINJA_ROUND_TRIP, jinja)
    )
    if len(of_jinja) > len(of_go):
        return jinja_returns or not go_returns
    return of_jinja == of_go and "tools" in of_go and jinja_returns and not go_returns


def _of_go(template: str, template_capabilities: TemplateCapabilities) -> list[str]:
    found = template_capabilities(template)
    return [kind for kind in ("tools", "insert", "thinking") if kind in found]


def _of_jinja(template: str) -> list[str]:
    found = ["tools"] if _any(("tools", "tool_call"), template) else []
    cuts_thoughts = _any(("content.split('</think>')", 'content.split("</think>")'), template)
    has_own_way = _any(("reasoning_content", "<SPECIAL_12>"), template)
    if ("<think>" in template and "</think>" in template) or (cuts_thoughts and not has_own_way):
        found.append("thinking")
    return found


def _purpose(gguf: Gguf) -> str:
    return "embedding" if gguf.has("pooling_type") else "completion"


def _hears(projector: Gguf) -> bool:
    if projector.text("vision.projector_type") == "gemma3nv":
        return False
    return any(
        key.endswith(".has_audio_encoder") and value is True
        for key, value in projector.metadata.items()
    )


def _is_gpt_oss(config: ConfigBlob) -> bool:
    return config.model_family in ("gptoss", "gpt-oss")


def _any(needles: Iterable[str], text: str) -> bool:
    return any(needle in text for needle in needles)


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
