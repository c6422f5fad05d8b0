"""From a request to the text that the model sees.

A prompt goes four ways: `raw` is sent as it is; a suffix makes it a text with a gap; a request's
own template renders system and prompt; else it is the last message of a conversation. A
conversation goes through the model's template, and its oldest messages are dropped while it is too
long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

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

__all__ = ["RenderedPrompt", "Renderer"]

RENDER_THREADS = 2
"""Templates that are rendered at a time; most take a millisecond."""

P = ParamSpec("P")
T = TypeVar("T")

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


class Renderer:
    """Renders prompts in threads of its own.

    They are few: a template that spends all that its limits allow holds up other prompts for a
    second, but neither the event loop nor what else is done in threads.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RENDER_THREADS, thread_name_prefix="render")

    def close(self) -> None:
        """What still waits is not rendered any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def render(
        self, request: Request, model: ServedModel, num_ctx: int, runner: Runner
    ) -> RenderedPrompt:
        """The prompt of a request. InvalidArgument for templates that fail, the worker's errors."""
        with template_errors():
            if isinstance(request, ChatRequest):
                conversation = chat_conversation(request, model)
                template = await self._in_thread(model_template, model, runner)
                return await self._conversation(conversation, template, num_ctx, runner)
            assert isinstance(request, GenerateRequest)
            if request.raw:
                return raw_prompt(request)
            if request.suffix:
                return RenderedPrompt(await self._in_thread(render_gap, request, model))
            if request.template:
                template = await self._in_thread(go_prompt, request.template)
            else:
                template = await self._in_thread(model_template, model, runner)
            conversation = await prompt_conversation(request, model, runner)
            return await self._conversation(conversation, template, num_ctx, runner)

    async def _conversation(
        self, conversation: Conversation, template: PromptTemplate, num_ctx: int, runner: Runner
    ) -> RenderedPrompt:
        """The prompt, of as many of the newest messages as fit into `num_ctx` tokens."""

        async def count(messages: Sequence[Message]) -> int:
            text = await self._in_thread(rendered, conversation, template, runner, messages)
            # A token is a byte or more, so a text this short needs no look at the tokenizer.
            if len(text.encode()) < num_ctx:
                return 0
            return len(await runner.tokenize(text, add_special=False, parse_special=True))

        kept = Truncated(tuple(conversation.messages), 0)
        if conversation.may_drop:
            kept = await truncate(conversation.messages, num_ctx, count)
        text = await self._in_thread(rendered, conversation, template, runner, kept.messages)
        images = tuple(image for message in kept.messages for image in message.images)
        for index in range(len(images)):
            if image_marker(index) not in text:
                raise InvalidArgument(
                    f"images[{index}] has no place in the prompt: the template leaves it out",
                    field="images",
                )
        return RenderedPrompt(text, images, kept.dropped)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args, **kwargs))


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


def rendered(
    conversation: Conversation,
    template: PromptTemplate,
    runner: Runner,
    messages: Sequence[Message],
) -> str:
    """The prompt of these messages of the conversation. Blocking."""
    messages, _ = mark_images(messages)
    text = template.render(messages, tools=conversation.tools, think=conversation.think)
    if runner.loaded.adds_bos and runner.loaded.bos_text:
        # A GGUF's own template may write BOS, which the tokenizer adds as well.
        text = text.removeprefix(runner.loaded.bos_text)
    return conversation.before + text


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
    text = await runner.detokenize(list(request.context), field="context")
    return text.decode(errors="replace")


@contextmanager
def template_errors() -> Iterator[None]:
    """Gives a template's failure its name in the API; the text stays Go's."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise InvalidArgument(str(error), reason="INVALID_TEMPLATE") from error
    except TemplateError as error:
        raise InvalidArgument(str(error), reason="TEMPLATE_FAILED") from error
