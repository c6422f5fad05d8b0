"""From a request to the text that the model sees.

Four ways: `raw` is the prompt itself; a suffix makes it a text with a gap; a request's own template
renders system and prompt; else the model's template renders the conversation, whose oldest messages
are dropped while it is too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from llamawire.engine.catalog import ServedModel
from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.prompt import (
    DEFAULT_TEMPLATE,
    GoPrompt,
    JinjaPrompt,
    Message,
    PromptTemplate,
    TemplateError,
    TemplateSyntaxError,
    Truncated,
    generate_messages,
    truncate,
)
from llamawire.engine.runner import Runner

__all__ = ["RenderRequest", "RenderedPrompt", "check_template", "render", "template_capabilities"]

TEMPLATES_CACHED_MAX = 64


class RenderRequest(Protocol):
    """The part of a completion request that makes its prompt."""

    @property
    def prompt(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def images(self) -> tuple[bytes, ...]: ...
    @property
    def system(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def raw(self) -> bool: ...
    @property
    def context(self) -> tuple[int, ...] | None: ...
    @property
    def truncate(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """What the model sees, and how many whole messages it does not."""

    text: str
    image_count: int = 0
    messages_dropped_count: int = 0


@lru_cache(TEMPLATES_CACHED_MAX)
def go_prompt(text: str) -> GoPrompt:
    return GoPrompt(text)


@lru_cache(TEMPLATES_CACHED_MAX)
def jinja_prompt(text: str, bos: str, eos: str) -> JinjaPrompt:
    return JinjaPrompt(text, bos, eos)


def check_template(text: str) -> None:
    """Raises TemplateError with Go's text if it does not parse."""
    go_prompt(text)


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


async def render(
    request: RenderRequest, model: ServedModel, num_ctx: int, runner: Runner
) -> RenderedPrompt:
    """The prompt of a request. InvalidArgument for templates that fail, the worker's errors."""
    if request.raw:
        return RenderedPrompt(request.prompt)
    if request.suffix:
        with template_errors():
            return RenderedPrompt(render_gap(request, model))
    with template_errors():
        template = prompt_template(request, model, runner)
    before = await context_text(request, runner)
    messages = generate_messages(
        request.prompt,
        images=request.images,
        system=request.system,
        model_system=model.system,
        model_messages=[Message(m.role, m.content) for m in model.messages],
        has_context=request.context is not None,
    )
    kept = Truncated(tuple(messages), 0)
    with template_errors():
        if request.truncate and not request.template:
            kept = await fitting(messages, template, before, num_ctx, runner)
        text = await asyncio.to_thread(template.render, kept.messages)
    if runner.loaded.adds_bos and runner.loaded.bos_text:
        # A GGUF's own template may write BOS, which the tokenizer adds as well.
        text = text.removeprefix(runner.loaded.bos_text)
    images = sum(len(message.images) for message in kept.messages)
    return RenderedPrompt(before + text, images, kept.dropped)


def prompt_template(request: RenderRequest, model: ServedModel, runner: Runner) -> PromptTemplate:
    """The request's template, else the model's, else the one in the file of the weights."""
    if request.template:
        return go_prompt(request.template)
    if model.go_template is not None:
        return go_prompt(model.go_template)
    if model.chat_template is not None:
        return jinja_prompt(model.chat_template, runner.loaded.bos_text, runner.loaded.eos_text)
    return go_prompt(DEFAULT_TEMPLATE)


def render_gap(request: RenderRequest, model: ServedModel) -> str:
    """The prompt for what stands between prompt and suffix; neither system nor messages count."""
    text = request.template or model.go_template
    template = go_prompt(text) if text is not None else None
    if template is not None and template.supports_suffix:
        return template.render_suffix(request.prompt, request.suffix)
    if model.fill_in is None:
        raise Unsupported(model.name.display, model.name.full, "insert")
    return model.fill_in.render(request.prompt, request.suffix)


async def context_text(request: RenderRequest, runner: Runner) -> str:
    """The text of an earlier answer's ids, which goes in front of the prompt."""
    if not request.context:
        return ""
    return (await runner.detokenize(list(request.context))).decode(errors="replace")


async def fitting(
    messages: Sequence[Message],
    template: PromptTemplate,
    before: str,
    num_ctx: int,
    runner: Runner,
) -> Truncated:
    """The messages that fit into the context, the newest and all of the system's."""

    async def count(some: Sequence[Message]) -> int:
        text = before + await asyncio.to_thread(template.render, some)
        # A token is a byte or more, so a text this short needs no look at the tokenizer.
        if len(text.encode()) < num_ctx:
            return 0
        return len(await runner.tokenize(text, add_special=False, parse_special=True))

    return await truncate(messages, num_ctx, count)


@contextmanager
def template_errors() -> Iterator[None]:
    """Gives a template's failure its name in the API; the text stays Go's."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise InvalidArgument(str(error), reason="INVALID_TEMPLATE") from error
    except TemplateError as error:
        raise InvalidArgument(str(error), reason="TEMPLATE_FAILED") from error
