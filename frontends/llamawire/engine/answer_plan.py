"""How an answer is written and read: its grammar, its marks, its thinking, its parser.

Where there is something to find in an answer, a parser reads it, and the worker spells out the
control tokens that the format is written with.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamawire.engine.answer import AnswerReader, ParsedAnswer, PlainAnswer
from llamawire.engine.catalog import ServedModel
from llamawire.engine.prompt.output import ThinkingBudget
from llamawire.engine.requests import ChatRequest, GenerateRequest, Request
from llamawire.engine.structure import Grammar, channel_frame

__all__ = ["AnswerPlan", "plan_answer"]


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What a job is told, and what reads its updates."""

    reader: AnswerReader
    grammar: Grammar | None = None
    marks: tuple[str, ...] = ()
    thinking: ThinkingBudget | None = None


def plan_answer(
    request: Request,
    model: ServedModel,
    prompt: str | tuple[int, ...],
    grammar: Grammar | None,
) -> AnswerPlan:
    """`prompt` is what the model sees; `grammar` that of the request's form."""
    format_ = model.output_format
    tools = request.tools if isinstance(request, ChatRequest) else ()
    text = prompt if isinstance(prompt, str) else ""
    is_parsed = bool(tools) or format_.has_channels or may_think(request, model)
    if not is_parsed or (grammar is not None and is_form_of_all(request, model)):
        return AnswerPlan(PlainAnswer(), grammar)
    parser = format_.parser(
        tools=tools, think=request.think, prompt=text, is_formed=grammar is not None
    )
    thinking = None
    if request.thinking_budget is not None:
        thinking = format_.budget(request.thinking_budget, prompt=text, has_tools=bool(tools))
    return AnswerPlan(
        ParsedAnswer(parser),
        grammar and framed(grammar, request, model, text),
        format_.marks(has_tools=bool(tools), think=request.think),
        thinking,
    )


def may_think(request: Request, model: ServedModel) -> bool:
    has_tags = model.output_format.thinking is not None
    return has_tags and "thinking" in model.capabilities and request.think is not False


def is_form_of_all(request: Request, model: ServedModel) -> bool:
    """Whether a form is that of all the text. That of a chat's answer is that of its content, and
    so is that of a prompt which is rendered for channels."""
    if isinstance(request, ChatRequest):
        return False
    assert isinstance(request, GenerateRequest)
    is_given = request.raw or bool(request.suffix) or request.prompt_tokens is not None
    return is_given or not model.output_format.has_channels


def framed(grammar: Grammar, request: Request, model: ServedModel, prompt: str) -> Grammar:
    """The grammar of a whole answer, of which the form is only that of the content."""
    format_ = model.output_format
    if format_.has_channels:
        tools = request.tools if isinstance(request, ChatRequest) else ()
        return grammar.in_frame(channel_frame(prompt, [tool.name for tool in tools]))
    tags = format_.thinking
    if tags is None or not may_think(request, model):
        return grammar
    is_open = prompt.rstrip().endswith(tags.opening)
    return grammar.after_thinking(tags.opening, tags.closing, is_open=is_open)
