"""From a request to the text that the model sees.

A prompt goes four ways: `raw` is sent as it is; a suffix makes it a text with a gap; a request's
own template renders system and prompt; else it is the last message of a conversation. A
conversation goes through the model's template, and its oldest messages are dropped while it is too
long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llamawire.engine.catalog import ServedModel
from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.prompt import (
    DEFAULT_TEMPLATE,
    Message,
    PromptTemplate,
    TemplateError,
    TemplateSyntaxError,
    ThinkValue,
    Tool,
    Truncated,
    chat_messages,
    generate_messages,
    image_marker,
    mark_images,
    truncate,
    without_old_thinking,
)
from llamawire.engine.requests import ChatRequest, GenerateRequest, Request
from llamawire.engine.runner import Runner
from llamawire.engine.templates import go_prompt, jinja_prompt

__all__ = ["RenderedPrompt", "render"]

FAMILIES_THAT_FORGET = ("qwen3",)
"""Families that were taught not to see the thinking of earlier turns."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """What the model sees, and how many whole messages it does not.

    In the text the marker `[img-N]` stands for the image numbered N.
    """

    text: str
    images: tuple[bytes, ...] = ()
    messages_dropped_count: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages on their way into a template. `before` is text that comes in front of it all."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    think: ThinkValue = None
    before: str = ""
    may_drop: bool = True


async def render(
    request: Request, model: ServedModel, num_ctx: int, runner: Runner
) -> RenderedPrompt:
    """The prompt of a request. InvalidArgument for templates that fail, the worker's errors."""
    with template_errors():
        if isinstance(request, ChatRequest):
            conversation = chat_conversation(request, model)
            template = model_template(model, runner)
        else:
            assert isinstance(request, GenerateRequest)
            if request.raw:
                return raw_prompt(request)
            if request.suffix:
                return RenderedPrompt(render_gap(request, model))
            conversation = await prompt_conversation(request, model, runner)
            own = request.template
            template = go_prompt(own) if own else model_template(model, runner)
        return await render_conversation(conversation, template, num_ctx, runner)


def chat_conversation(request: ChatRequest, model: ServedModel) -> Conversation:
    messages = chat_messages(
        request.messages, model_system=model.system, model_messages=stored_messages(model)
    )
    if model.details.family in FAMILIES_THAT_FORGET or model.name.model == "deepseek-r1":
        messages = without_old_thinking(messages)
    return Conversation(
        messages, request.tools, rendered_think(request, model), may_drop=request.truncate
    )


async def prompt_conversation(
    request: GenerateRequest, model: ServedModel, runner: Runner
) -> Conversation:
    messages = generate_messages(
        request.prompt,
        images=request.images,
        system=request.system,
        model_system=model.system,
        model_messages=stored_messages(model),
        has_context=request.context is not None,
    )
    return Conversation(
        messages,
        think=rendered_think(request, model),
        before=await context_text(request, runner),
        may_drop=request.truncate and not request.template,
    )


async def render_conversation(
    conversation: Conversation, template: PromptTemplate, num_ctx: int, runner: Runner
) -> RenderedPrompt:
    """The prompt, of as many of the newest messages as fit into `num_ctx` tokens."""

    def text(messages: Sequence[Message]) -> str:
        messages, _ = mark_images(messages)
        rendered = template.render(messages, tools=conversation.tools, think=conversation.think)
        if runner.loaded.adds_bos and runner.loaded.bos_text:
            # A GGUF's own template may write BOS, which the tokenizer adds as well.
            rendered = rendered.removeprefix(runner.loaded.bos_text)
        return conversation.before + rendered

    async def count(messages: Sequence[Message]) -> int:
        rendered = await asyncio.to_thread(text, messages)
        # A token is a byte or more, so a text this short needs no look at the tokenizer.
        if len(rendered.encode()) < num_ctx:
            return 0
        return len(await runner.tokenize(rendered, add_special=False, parse_special=True))

    kept = Truncated(tuple(conversation.messages), 0)
    if conversation.may_drop:
        kept = await truncate(conversation.messages, num_ctx, count)
    rendered = await asyncio.to_thread(text, kept.messages)
    images = tuple(image for message in kept.messages for image in message.images)
    for index in range(len(images)):
        if image_marker(index) not in rendered:
            raise InvalidArgument(
                f"images[{index}] has no place in the prompt: the template leaves it out",
                field="images",
            )
    return RenderedPrompt(rendered, images, kept.dropped)


def raw_prompt(request: GenerateRequest) -> RenderedPrompt:
    """As it is sent; an image whose marker is not in it gets one as elsewhere."""
    text, front = request.prompt, ""
    for index in range(len(request.images)):
        marker = image_marker(index)
        if marker in text:
            continue
        if "[img]" in text:
            text = text.replace("[img]", marker, 1)
        else:
            front += marker
    return RenderedPrompt(front + text, request.images)


def model_template(model: ServedModel, runner: Runner) -> PromptTemplate:
    """The model's own template, else the one in the file of its weights."""
    if model.go_template is not None:
        return go_prompt(model.go_template)
    if model.chat_template is not None:
        return jinja_prompt(model.chat_template, runner.loaded.bos_text, runner.loaded.eos_text)
    return go_prompt(DEFAULT_TEMPLATE)


def rendered_think(request: Request, model: ServedModel) -> ThinkValue:
    """What the template is told: models that think do so unless they are asked not to."""
    think = request.think
    if think is None and "thinking" in model.capabilities:
        think = True
    return model.output_format.rendered_think(think)


def stored_messages(model: ServedModel) -> list[Message]:
    return [Message(message.role, message.content) for message in model.messages]


def render_gap(request: GenerateRequest, model: ServedModel) -> str:
    """The prompt for what stands between prompt and suffix; neither system nor messages count."""
    text = request.template or model.go_template
    template = go_prompt(text) if text is not None else None
    if template is not None and template.supports_suffix:
        return template.render_suffix(request.prompt, request.suffix)
    if model.fill_in is None:
        raise Unsupported(model.name.display, model.name.full, "insert")
    return model.fill_in.render(request.prompt, request.suffix)


async def context_text(request: GenerateRequest, runner: Runner) -> str:
    """The text of an earlier answer's ids, which goes in front of the prompt."""
    if not request.context:
        return ""
    return (await runner.detokenize(list(request.context))).decode(errors="replace")


@contextmanager
def template_errors() -> Iterator[None]:
    """Gives a template's failure its name in the API; the text stays Go's."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise InvalidArgument(str(error), reason="INVALID_TEMPLATE") from error
    except TemplateError as error:
        raise InvalidArgument(str(error), reason="TEMPLATE_FAILED") from error
