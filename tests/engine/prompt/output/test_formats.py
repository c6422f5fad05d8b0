"""Each format's answers, whole and cut everywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.prompt.output.answers import ANSWERS, TABLES, Answer, events, seen
from llamawire.engine.prompt.output import FORMATS, Call, OutputEvent

ROWS = [
    pytest.param(answer, id=f"{name}-{index}")
    for name, answers in TABLES.items()
    for index, answer in enumerate(answers)
]


def without_ids(found: list[OutputEvent]) -> list[object]:
    return [
        (event.call.name, event.call.arguments, event.text) if isinstance(event, Call) else event
        for event in found
    ]


@pytest.mark.parametrize("answer", ROWS)
def test_an_answer_is_what_its_table_says(answer: Answer) -> None:
    assert seen(events(answer)) == answer.seen


@pytest.mark.parametrize("answer", ROWS)
def test_no_character_is_lost_or_comes_twice(answer: Answer) -> None:
    assert "".join(event.text for event in events(answer)) == answer.text


@pytest.mark.parametrize("answer", ROWS)
def test_it_does_not_matter_where_an_answer_is_cut_in_two(answer: Answer) -> None:
    whole = without_ids(events(answer))
    for cut in range(len(answer.text) + 1):
        assert without_ids(events(answer, cut)) == whole


@pytest.mark.parametrize("answer", ROWS)
def test_it_does_not_matter_if_an_answer_comes_by_the_character(answer: Answer) -> None:
    whole = without_ids(events(answer))
    assert without_ids(events(answer, *range(1, len(answer.text)))) == whole


@given(st.sampled_from(ANSWERS), st.data())
def test_it_does_not_matter_how_an_answer_is_cut(answer: Answer, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(answer.text))))
    assert without_ids(events(answer, *cuts)) == without_ids(events(answer))


PARTS = sorted(
    {
        part
        for answer in ANSWERS
        for part in re.findall(r"<[^<>\s]*>?|\[[A-Z_/]+\]?|\w+|\s|.", answer.text)
    }
)


@given(st.sampled_from([*FORMATS.values(), *{a.format for a in TABLES["generic"]}]), st.data())
def test_any_text_at_all_is_read_and_kept(format_: object, data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(PARTS), max_size=40)))
    answer = Answer(format_, text, ())  # type: ignore[arg-type]
    whole = events(answer)
    assert "".join(event.text for event in whole) == text
    cuts = data.draw(st.lists(st.integers(0, len(text))))
    assert without_ids(events(answer, *cuts)) == without_ids(whole)


def test_calls_are_numbered_and_have_ids_of_their_own() -> None:
    answer = next(a for a in TABLES["qwen3"] if len(a.seen) == 3 and a.text.count("Oslo"))
    calls = [event.call for event in events(answer) if isinstance(event, Call)]
    assert [call.index for call in calls] == [0, 1]
    assert all(re.fullmatch("call_[a-z0-9]{8}", call.id) for call in calls)
    assert calls[0].id != calls[1].id
