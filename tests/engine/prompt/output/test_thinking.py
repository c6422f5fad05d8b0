"""The states of thinking, and how long it may take."""

import pytest

from engine.prompt.output.answers import QWEN3, TABLES
from llamawire.engine.prompt.output import (
    FORMATS,
    Content,
    Markup,
    OutputEvent,
    Thinking,
    ThinkingBudget,
)

T, C = Thinking, Content


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([" ", "<th", "ink>", "Hm"], [[], [], [], [T("Hm")]]),
        (["\n", "Hi"], [[], [C("\nHi")]]),
        (["<thin", "g>"], [[], [C("<thing>")]]),
        (["<think>", "\n ", "Hm"], [[], [], [T("Hm")]]),
        (["<think>a", " <", "/thin", "g"], [[T("a")], [T(" ")], [], [T("</thing")]]),
        (
            ["<think>a</think>\n", " \n", "b"],
            [[T("a")], [], [C("b")]],
        ),
    ],
)
def test_only_what_may_be_a_tag_is_held(
    pieces: list[str], expected: list[list[OutputEvent]]
) -> None:
    parser = FORMATS["qwen3"].parser()
    found = [parser.feed(piece) for piece in pieces]
    assert [[e for e in events if not isinstance(e, Markup)] for events in found] == expected


def test_an_answer_streams_as_it_comes() -> None:
    parser = FORMATS["qwen3"].parser(tools=QWEN3[0].tools)
    assert [parser.feed(text) for text in ("Hel", "lo", ",\n")] == [
        [Content("Hel")],
        [Content("lo")],
        [Content(",\n")],
    ]


def test_a_call_comes_when_its_object_closes() -> None:
    answer = TABLES["qwen3"][8]
    parser = answer.parser()
    before = answer.text.index("}}")
    assert parser.feed(answer.text[: before + 1]) == []
    assert len(parser.feed(answer.text[before + 1 : before + 2])) == 1


@pytest.mark.parametrize(
    ("name", "prompt", "text", "expected"),
    [
        ("qwen3", "", "", False),
        ("qwen3", "<think>\n", "", True),
        ("qwen3", "", "<think>", True),
        ("qwen3", "", "<think>Hm.</thin", True),
        ("qwen3", "", "<think>Hm.</think>", False),
        ("harmony", "", "<|channel|>analysis<|message|>Hm.", True),
        ("harmony", "", "<|channel|>analysis<|message|>Hm.<|end|>", False),
        ("harmony", "", "<|channel|>final<|message|>Hi", False),
    ],
)
def test_the_parser_knows_whether_the_model_thinks(
    name: str, prompt: str, text: str, expected: bool
) -> None:
    parser = FORMATS[name].parser(prompt=prompt)
    parser.feed(text)
    assert parser.is_thinking is expected


def test_a_budget_says_where_thinking_begins_and_ends() -> None:
    budget = FORMATS["qwen3"].budget(5, prompt="Hi<think>\n", has_tools=True)
    closings = ("</think>", "<tool_call>")
    assert budget == ThinkingBudget(5, "<think>", closings, True, False, "\n</think>\n\n")
    channels = FORMATS["harmony"].budget(0, prompt="<|start|>assistant", has_tools=False)
    assert channels is not None
    assert (channels.is_open, channels.reopens) == (False, True)
    assert FORMATS["llama3"].budget(5, prompt="", has_tools=True) is None


@pytest.mark.parametrize("name", [name for name, f in FORMATS.items() if f.thinking_end])
def test_the_forced_ending_ends_the_thinking(name: str) -> None:
    format_ = FORMATS[name]
    opening = format_.thinking.opening if format_.thinking else "<|channel|>analysis<|message|>"
    parser = format_.parser()
    parser.feed(opening + " Hm")
    assert parser.is_thinking
    events = parser.feed(format_.thinking_end + "Hi") + parser.finish()
    assert not parser.is_thinking
    assert "".join(event.text for event in events if isinstance(event, Content)) == "Hi"
