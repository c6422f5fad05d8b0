"""Of a run's pieces, what is answer, what thinking, what a call; no token and no text is lost."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from llamawire.engine.answer import ParsedAnswer, PlainAnswer
from llamawire.engine.job import Accepted, Finished, Piece, TokenLogprob, Update
from llamawire.engine.prompt import Tool
from llamawire.engine.prompt.output import FORMATS

END = Finished("stop", 9, 0, 0, 0, 0, 0)
WEATHER = (Tool("get_weather"),)
ANSWER = (
    "<think>hm, let me see</think>Sure. "
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
)


def read(answer: ParsedAnswer | PlainAnswer, texts: list[str]) -> list[Piece]:
    """Feeds one piece a token, ids from 0, and the end; gives the pieces shown."""
    shown: list[Update] = []
    for token, text in enumerate(texts):
        shown += answer.read([Piece(text, (token,))])
    shown += answer.read([END])
    assert shown[-1] is END
    return [update for update in shown if isinstance(update, Piece)]


def parsed() -> ParsedAnswer:
    return ParsedAnswer(FORMATS["qwen3"].parser(tools=WEATHER, think=True))


def test_logprobs_stay_with_their_tokens() -> None:
    answer = parsed()
    shown: list[Update] = []
    for token, text in enumerate(ANSWER):
        logprob = TokenLogprob(text.encode(), -float(token))
        shown += answer.read([Piece(text, (token,), logprobs=(logprob,))])
    shown += answer.read([END])
    for piece in shown[:-1]:
        assert isinstance(piece, Piece)
        assert [-one.logprob for one in piece.logprobs] == list(piece.token_ids)
    assert sum(len(p.logprobs) for p in shown if isinstance(p, Piece)) == len(ANSWER)


def test_a_plain_answer_is_shown_as_it_is() -> None:
    updates: list[Update] = [Accepted(1, 1, 0, 0), Piece("a", (1,)), END]
    assert PlainAnswer().read(updates) == updates


def test_thinking_answer_and_call_are_told_apart() -> None:
    pieces = read(parsed(), [ANSWER])
    assert "".join(piece.thinking for piece in pieces) == "hm, let me see"
    assert "".join(piece.text for piece in pieces).strip() == "Sure."
    (call,) = [call for piece in pieces for call in piece.calls]
    assert (call.name, call.arguments) == ("get_weather", {"city": "Paris"})


@given(st.lists(st.integers(1, len(ANSWER) - 1), max_size=30))
def test_however_the_text_is_cut_every_token_is_told_once_and_in_order(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(ANSWER)]
    texts = [ANSWER[a:b] for a, b in itertools.pairwise(borders)]
    pieces = read(parsed(), texts)
    assert [token for piece in pieces for token in piece.token_ids] == list(range(len(texts)))
    assert len([call for piece in pieces for call in piece.calls]) == 1


def test_what_only_looks_like_a_call_is_shown() -> None:
    text = '<tool_call>\n{"name": get_weather}\n</tool_call>'
    pieces = read(parsed(), [text])
    assert "get_weather" in "".join(piece.text for piece in pieces)
    assert not any(piece.calls for piece in pieces)
