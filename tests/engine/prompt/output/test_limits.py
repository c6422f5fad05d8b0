"""What an answer may cost: memory, depth, calls, and work that grows with the text."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from engine.prompt.output.answers import ANSWERS, TOOLS, Answer, events, seen
from llamawire.engine.prompt.output import (
    FORMATS,
    Call,
    Content,
    OutputFormat,
    OutputLimits,
    OutputParser,
    Rejected,
    generic_format,
)


def answer(name: str, text: str, **limits: int) -> Answer:
    return Answer(FORMATS[name], text, (), limits=OutputLimits(**limits))


NOW = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'


def test_calls_beyond_the_limit_are_rejected_and_the_answer_goes_on() -> None:
    found = seen(events(answer("qwen3", NOW * 3 + "So.", calls_max=2)))
    call = ("call", "now", {})
    assert found == (call, call, ("R", "calls_max"), ("C", "So."))


def test_arguments_that_are_too_deep_are_malformed() -> None:
    deep = "[" * 70 + "]" * 70
    text = f'<tool_call>{{"name": "get", "arguments": {{"key": {deep}}}}}</tool_call>!'
    assert seen(events(answer("qwen3", text))) == (("R", "malformed"), ("C", "!"))
    in_string = f'<tool_call>{{"name": "get", "arguments": "{{\\"key\\": {deep}}}"}}</tool_call>!'
    assert seen(events(answer("qwen3", in_string))) == (("R", "malformed"), ("C", "!"))
    code = f"```tool_code\nget({deep})\n```!"
    assert seen(events(answer("gemma", code))) == (("R", "malformed"), ("C", "!"))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_held_stays_within_the_limit(name: str) -> None:
    openings = [row.text for row in ANSWERS if row.format.name == name and row.tools]
    for text in openings:
        parser = answer(name, "", call_chars_max=200).parser()
        held = 0
        for piece in [*text[:-1], *"x" * 500]:
            held += len(piece) - sum(len(event.text) for event in parser.feed(piece))
            assert held <= 201
        parser.finish()


def test_a_call_that_is_too_long_says_which_limit_it_met() -> None:
    text = '<tool_call>{"name": "get", "arguments": {"key": "' + "x" * 100
    found = events(answer("qwen3", text, call_chars_max=50))
    assert found == [Rejected(text, "call_chars_max")]


# The work, in steps: every line that runs is a step, and so is every character of every text that
# the line has at hand, because it may go over all of them.

FEEDS: list[tuple[OutputFormat, Callable[[int], str]]] = [
    (FORMATS["qwen3"], lambda n: "word < " * n),
    (FORMATS["qwen3"], lambda n: "<think>" + "hm </ " * n + "</think>"),
    (FORMATS["qwen3"], lambda n: '<tool_call>{"name":"get","arguments":{"key":"' + "x\\n{" * n),
    (FORMATS["qwen3"], lambda n: NOW * n),
    (FORMATS["qwen3-coder"], lambda n: "<function=get><parameter=key>" + "</para" * n),
    (FORMATS["llama3"], lambda n: '{"a": "' + "}" * n),
    (FORMATS["mistral"], lambda n: "[TOOL_CALLS]" + "name" * n),
    (FORMATS["gemma"], lambda n: "```tool_code\nget('" + "``'" * n),
    (FORMATS["harmony"], lambda n: "<|channel|>analysis<|message|>" + "<|e " * n),
    (FORMATS["deepseek"], lambda n: "<｜tool▁calls▁begin｜>" + "<｜tool▁" * n),  # noqa: RUF001
    (generic_format("<tool_call>"), lambda n: "<tool_call>" + '{"x": 1} get' * n),
    (generic_format("{"), lambda n: '{"x": [' + "[1], " * n),
]


@pytest.mark.parametrize("chars", [1, 7])
@pytest.mark.parametrize("index", range(len(FEEDS)))
def test_the_work_grows_with_the_text(index: int, chars: int) -> None:
    format_, text = FEEDS[index]
    small, large = (steps(format_, text(n), chars) / len(text(n)) for n in (40, 160))
    assert large < 1.5 * small


def steps(format_: OutputFormat, text: str, chars: int, *, counts_chars: bool = True) -> int:
    parser = format_.parser(tools=TOOLS)
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        if "prompt/output" not in frame.f_code.co_filename:
            return None
        count += 1
        if counts_chars:
            count += sum(len(v) for v in frame.f_locals.values() if isinstance(v, str))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        for start in range(0, len(text), chars):
            parser.feed(text[start : start + chars])
            count += kept(parser) if counts_chars else 0
    finally:
        sys.settrace(before)
    return count


def kept(parser: OutputParser) -> int:
    """The characters that the parser would have to copy to add one: those in no list."""
    source = parser._source
    texts = (getattr(source, name) for name in type(source).__slots__ if name != "prompt_end")
    return sum(len(value) for value in texts if isinstance(value, str))


@pytest.mark.parametrize("index", range(len(FEEDS)))
def test_the_lines_that_run_grow_with_the_text_in_one_piece_too(index: int) -> None:
    format_, text = FEEDS[index]
    small, large = (steps(format_, text(n), len(text(n)), counts_chars=False) for n in (40, 160))
    assert large < 5 * small


def test_events_are_cut_only_between_kinds() -> None:
    parser = FORMATS["qwen3"].parser(tools=TOOLS)
    found = parser.feed("One, <two>, " + NOW + " three")
    assert [type(e) for e in found if isinstance(e, (Content, Call))] == [Content, Call, Content]
