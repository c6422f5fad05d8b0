"""Putting a conversation together, shortening it, and marking its images."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamawire.engine import prompt
from llamawire.engine.prompt import (
    TOKENS_PER_IMAGE,
    Message,
    Truncated,
    chat_messages,
    generate_messages,
    mark_images,
    truncate,
    without_old_thinking,
)


def test_every_exported_name_exists() -> None:
    assert all(hasattr(prompt, name) for name in prompt.__all__)


# Generating.

OWN = [Message("user", "q"), Message("assistant", "a")]


@pytest.mark.parametrize(
    ("system", "model_system", "has_context", "expected"),
    [
        ("", "", False, ["q", "a", "P"]),
        ("", "M", False, ["M", "q", "a", "P"]),
        ("S", "M", False, ["S", "q", "a", "P"]),
        ("S", "M", True, ["S", "P"]),
    ],
)
def test_a_prompt_follows_the_system_and_the_models_messages(
    system: str, model_system: str, has_context: bool, expected: list[str]
) -> None:
    messages = generate_messages(
        "P",
        images=[b"i"],
        system=system,
        model_system=model_system,
        model_messages=OWN,
        has_context=has_context,
    )
    assert [message.content for message in messages] == expected
    assert messages[-1] == Message("user", "P", images=(b"i",))


# Chatting.


def test_a_chat_without_a_system_message_gets_the_models() -> None:
    found = chat_messages([Message("user", "U")], model_system="M", model_messages=OWN)
    assert [message.content for message in found] == ["M", "q", "a", "U"]


def test_a_chat_with_a_system_message_gets_only_the_models_other_messages() -> None:
    found = chat_messages([Message("system", "S")], model_system="M", model_messages=OWN)
    assert [message.content for message in found] == ["q", "a", "S"]


def test_old_thinking_is_cut_before_the_last_question() -> None:
    thought = "<think>\nhm\n</think>\n\nyes"
    messages = [
        Message("assistant", thought),
        Message("user", thought),
        Message("assistant", thought),
    ]
    found = [message.content for message in without_old_thinking(messages)]
    assert found == ["yes", thought, thought]


# Images.


@pytest.mark.parametrize(
    ("content", "count", "expected"),
    [
        ("look", 1, "[img-0]look"),
        ("look", 2, "[img-0][img-1]look"),
        ("a [img] b", 1, "a [img-0] b"),
        ("a [img] b", 2, "[img-1]a [img-0] b"),
        ("[img] or [img]", 1, "[img-0] or [img]"),
        ("none", 0, "none"),
    ],
)
def test_an_image_takes_its_place_or_goes_in_front(content: str, count: int, expected: str) -> None:
    images = tuple(b"%d" % index for index in range(count))
    marked, found = mark_images([Message("user", content, images=images)])
    assert marked[0].content == expected
    assert found == list(images)


def test_images_are_counted_over_all_messages() -> None:
    messages = [Message("user", "a", images=(b"0",)), Message("user", "b", images=(b"1",))]
    assert [message.content for message in mark_images(messages)[0]] == ["[img-0]a", "[img-1]b"]


# Truncating.


async def count_characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


async def shortened(messages: list[Message], tokens_max: int) -> Truncated:
    return await truncate(messages, tokens_max, count_characters)


LONG = [
    Message("system", "SS"),
    Message("user", "aaaa"),
    Message("assistant", "bbbb"),
    Message("system", "TT"),
    Message("user", "cccc"),
]


@pytest.mark.parametrize(
    ("tokens_max", "kept", "dropped"),
    [
        (16, "SS aaaa bbbb TT cccc", 0),
        (15, "SS bbbb TT cccc", 1),
        (12, "SS bbbb TT cccc", 1),
        (11, "SS TT cccc", 2),
        (8, "SS TT cccc", 2),
        (0, "SS TT cccc", 2),
    ],
)
async def test_the_oldest_go_first_but_no_system_message_and_not_the_last(
    tokens_max: int, kept: str, dropped: int
) -> None:
    result = await shortened(LONG, tokens_max)
    assert [message.content for message in result.messages] == kept.split()
    assert result.dropped == dropped


async def test_an_image_counts_as_a_fixed_number_of_tokens() -> None:
    messages = [Message("user", "a", images=(b"x",)), Message("user", "b")]
    assert (await shortened(messages, TOKENS_PER_IMAGE + 2)).dropped == 0
    assert (await shortened(messages, TOKENS_PER_IMAGE + 1)).dropped == 1


async def test_nothing_is_left_of_nothing() -> None:
    assert await shortened([], 0) == Truncated((), 0)


async def test_a_long_conversation_is_counted_few_times() -> None:
    asked = []

    async def count(messages: Sequence[Message]) -> int:
        asked.append(len(messages))
        return len(messages)

    result = await truncate([Message("user", "x")] * 10_000, 100, count)
    assert len(result.messages) == 100
    assert len(asked) < 8
    # The whole once, and then what may be kept.
    assert sum(asked) < 10_000 + 1000


async def test_lengths_that_deceive_cost_few_more_counts() -> None:
    asked = []

    async def count(messages: Sequence[Message]) -> int:
        asked.append(len(messages))
        return sum(10 if message.content else 1 for message in messages)

    # What is long in characters is short in tokens, and what is short comes last.
    messages = [Message("user", ""), Message("user", "x")] * 2000 + [Message("user", "x")] * 300
    result = await truncate(messages, 6000, count)
    assert len(result.messages) == 300 + 544
    assert len(asked) < 20


roles = st.sampled_from(["system", "user", "assistant", "tool"])
conversations = st.lists(
    st.builds(Message, roles, st.text(min_size=1, max_size=5, alphabet="x")), max_size=12
)


@given(conversations, st.integers(0, 40))
@settings(max_examples=200)
async def test_the_longest_end_that_fits_is_kept(messages: list[Message], tokens_max: int) -> None:
    result = await shortened(messages, tokens_max)
    for start in range(len(messages)):
        system = [message for message in messages[:start] if message.role == "system"]
        candidate = (*system, *messages[start:])
        if await count_characters(candidate) <= tokens_max or start == len(messages) - 1:
            assert result.messages == candidate
            break
    assert result.dropped == len(messages) - len(result.messages)
