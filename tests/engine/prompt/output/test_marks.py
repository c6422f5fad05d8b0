"""Control tokens in an answer: read like any text, and seen by nobody."""

from __future__ import annotations

import pytest

from engine.prompt.output.answers import TOOLS
from llamawire.engine.prompt.output import FORMATS, Call, Content, OutputEvent, Rejected, Thinking
from llamawire.engine.prompt.output.marks import MARK_BEGIN, MARK_END, marks_in, split_marks

HEADER = "«<|channel|>»analysis«<|message|>»"


def marked(text: str) -> str:
    """`«…»` stands for a mark."""
    return text.replace("«", MARK_BEGIN).replace("»", MARK_END)


def seen(name: str, *texts: str, is_formed: bool = False) -> list[OutputEvent]:
    parser = FORMATS[name].parser(tools=TOOLS, is_formed=is_formed)
    events = [event for text in texts for event in parser.feed(marked(text))]
    return [e for e in [*events, *parser.finish()] if isinstance(e, Content | Thinking | Rejected)]


def shown(name: str, *texts: str, is_formed: bool = False) -> str:
    return "".join(event.text for event in seen(name, *texts, is_formed=is_formed))


def test_marks_are_read_as_tags() -> None:
    parser = FORMATS["harmony"].parser(tools=TOOLS)
    text = "«<|channel|>»commentary to=functions.now«<|message|>»{}"
    events = parser.feed(marked(text)) + parser.finish()
    assert [event.call.name for event in events if isinstance(event, Call)] == ["now"]


def test_a_sign_without_its_other_half_is_text_and_hides_no_mark() -> None:
    assert list(split_marks(marked("««a»«"))) == [
        (MARK_BEGIN, False), ("a", True), (MARK_BEGIN, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("qwen3", ["Well«<think>»", "!"], "Well!"),
        ("qwen3", ["Well<think>", "!"], "Well<think>!"),
        ("qwen3", ["«<think>»", "a«<tool_x>»b", "«</think>»c«</tool_call>» d"], "abc d"),
        ("harmony", ["«<|channel|>»final«<|message|>»a", "«<|constrain|>»", "b"], "ab"),
        ("harmony", [HEADER, "a«<|constrain|>»«<|x|>»b", "«<|end|>»"], "ab"),
        ("harmony", ["«<|message|>»", "«<|end|>»«<|end|>»", "x"], "x"),
        ("mistral", [" a«[ARGS]»", "«[TOOL_CALLS]»b c", "d"], " ab cd"),
    ],
)
def test_a_mark_that_means_nothing_is_not_seen(name: str, texts: list[str], expected: str) -> None:
    assert shown(name, *texts) == expected


def test_the_text_of_a_form_may_spell_a_mark() -> None:
    text = '«<|channel|>»final«<|message|>»{"a": "<|end|><|channel|>"}'
    assert shown("harmony", text, is_formed=True) == '{"a": "<|end|><|channel|>"}'


def test_what_may_be_a_control_token_is_found_in_tags() -> None:
    assert marks_in("[TOOL_CALLS] [", "<|channel>thought", "{") == ("[TOOL_CALLS]", "<|channel>")
    assert "<|call|>" in FORMATS["harmony"].marks(has_tools=False, think=False)
    assert FORMATS["mistral"].marks(has_tools=False, think=False) == ()
    assert "[/THINK]" in FORMATS["mistral"].marks(has_tools=False, think=None)
