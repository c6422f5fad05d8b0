"""Gemma, which writes calls differently in each generation.

Gemma 3 has no tags for calls and is told what to write: usually a fenced block of `tool_code`, or
an answer that is a list of Python calls. FunctionGemma and Gemma 4 have tags and a notation:

    ```tool_code
    get_weather(city="Paris")
    ```
    [get_weather(city="Paris"), get_time(city="Paris")]
    <start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>
    <|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from llamawire.engine.prompt.output.brackets import PYTHON
from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content
from llamawire.engine.prompt.output.formats.blocks import read_gap
from llamawire.engine.prompt.output.json_values import JSONObject
from llamawire.engine.prompt.output.literals import (
    LiteralCall,
    read_gemma_calls,
    read_python_calls,
)
from llamawire.engine.prompt.output.source import HeldTooLong, Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = [
    "FUNCTIONGEMMA_OPENING",
    "FUNCTIONGEMMA_TAGS",
    "GEMMA4_OPENING",
    "GEMMA4_TAGS",
    "read_functiongemma",
    "read_gemma4",
    "read_pythonic",
    "read_tool_code",
]

FUNCTIONGEMMA_OPENING: Final = "<start_function_call>"
FUNCTIONGEMMA_TAGS: Final = (FUNCTIONGEMMA_OPENING, "<end_function_call>", "<escape>")
GEMMA4_OPENING: Final = "<|tool_call>"
GEMMA4_TAGS: Final = (GEMMA4_OPENING, "<tool_call|>", '<|"|>')
_FENCE: Final = "```tool_code"
_SCOPES: Final = ("", "default_api.")

ReadCalls: TypeAlias = Callable[[str, int], Sequence[LiteralCall]]


def read_functiongemma(source: Source, calls: Calls) -> Reading[None]:
    """FunctionGemma's blocks."""
    closing = "<end_function_call>"
    yield from _read_blocks(source, calls, FUNCTIONGEMMA_OPENING, closing, read_gemma_calls)


def read_gemma4(source: Source, calls: Calls) -> Reading[None]:
    """Gemma 4's blocks."""
    yield from _read_blocks(source, calls, GEMMA4_OPENING, "<tool_call|>", read_gemma_calls)


def read_tool_code(source: Source, calls: Calls) -> Reading[None]:
    """Fenced blocks of Python calls, or an answer that is a list of them."""
    yield from _read_list(source, calls)
    yield from _read_blocks(source, calls, _FENCE, "```", read_python_calls)


def read_pythonic(source: Source, calls: Calls) -> Reading[None]:
    """Only an answer that is a list of Python calls; Llama 3.2 and 4 write them too."""
    yield from _read_list(source, calls)


def _read_blocks(
    source: Source, calls: Calls, opening: str, closing: str, read: ReadCalls
) -> Reading[None]:
    """A block that generation ends in is read as well: its closing tag may be what ended it."""
    openings, closings = Tags(opening), Tags(closing)
    while (yield from source.until(openings, Content)):
        source.take(len(opening))
        mark = source.mark()
        end = yield from source.until(closings)
        text = source.text_since(mark)
        source.take(len(end))
        if not _emit_all(source, calls, text, read):
            source.reject("malformed" if end else "incomplete")
        yield from read_gap(source, opening)


def _read_list(source: Source, calls: Calls) -> Reading[None]:
    """As no tag says that these are calls, all must be of tools that were offered."""
    yield from source.whitespace()
    if (yield from source.at(*(f"[{scope}{name}(" for name in calls.tools for scope in _SCOPES))):
        try:
            text = yield from source.brackets(PYTHON)
        except HeldTooLong:
            source.release(Content)
            yield from source.rest(Content)
            return
        if text and _emit_all(source, calls, text, read_python_calls, only_offered=True):
            yield from read_gap(source, _FENCE)
    source.release(Content)


def _emit_all(
    source: Source, calls: Calls, text: str, read: ReadCalls, *, only_offered: bool = False
) -> bool:
    """The text held becomes the first of the calls; False, and still held, if it has none."""
    try:
        found = [_named(call, calls) for call in read(text, source.limits.depth_max)]
    except ValueError:
        return False
    if only_offered and not all(name in calls.tools for name, _ in found):
        return False
    for name, arguments in found:
        calls.emit(name, arguments)
    return bool(found)


def _named(call: LiteralCall, calls: Calls) -> tuple[str, JSONObject]:
    """Name and arguments; those without a name get those of the parameters, in their order."""
    tool = calls.tools.get(call.name)
    names = list(tool.parameters.properties) if tool else []
    if len(call.positional) > len(names):
        raise ValueError("an argument has no name")
    return call.name, {**dict(zip(names, call.positional, strict=False)), **call.arguments}
