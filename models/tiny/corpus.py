"""The corpus of the model in the box: an endless stream of documents from one seed.

A document is a list of segments. A trained segment is what the model should say; the others are
prompts, which it reads and is only lightly trained on. Every text is written here or in the files
beside this one; nothing comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from chat import SYSTEMS, Document, Segment, Turn, chat
from facts import (
    capital_turn,
    count_turn,
    country_turn,
    fact_turn,
    repeat_turn,
    sum_turn,
    unknown_turn,
    word_turn,
)
from formats import json_turn, thinking_turn, tool_document
from tables import FUNCTIONS
from writing import HEROES, TRAITS, code_turn, source, story, story_turn

TURNS: list[tuple[Callable[[Random], Turn], int]] = [
    (fact_turn, 640),
    (capital_turn, 40),
    (country_turn, 30),
    (word_turn, 30),
    (sum_turn, 40),
    (count_turn, 10),
    (repeat_turn, 12),
    (unknown_turn, 10),
    (story_turn, 25),
    (code_turn, 35),
    (json_turn, 35),
    (thinking_turn, 18),
]


def any_turn(rng: Random) -> Turn:
    make, _ = rng.choices(TURNS, [weight for _, weight in TURNS])[0]
    return make(rng)


def chat_document(rng: Random, turn_count: int = 0) -> Document:
    system = rng.choice(SYSTEMS) if rng.random() < 0.15 else ""
    turn_count = turn_count or rng.choices([1, 2, 3, 5], [60, 18, 12, 10])[0]
    return chat(system, [any_turn(rng) for _ in range(turn_count)])


def raw_document(rng: Random) -> Document:
    """Text without the chat format: what a request with `raw` or without a template sends."""
    draw = rng.random()
    if draw < 0.15:
        return [Segment(source(rng.choice(FUNCTIONS)) + "<|endoftext|>", True)]
    if draw < 0.3:
        text = story(rng, rng.choice(HEROES), rng.choice(TRAITS))
        return [Segment(text + "<|endoftext|>", True)]
    question, answer = fact_turn(rng)
    before, after = rng.choice(
        [
            ("[INST] {} [/INST]", " "),
            ("[INST] {} [/INST]", " "),
            ("{}", "\n"),
            ("{}", "\n"),
            ("Q: {}\nA:", " "),
            ("Question: {}\nAnswer:", " "),
            ("User: {}\nAssistant:", " "),
        ]
    )
    return [Segment(before.format(question), False), Segment(f"{after}{answer}<|endoftext|>", True)]


def infill_document(rng: Random) -> Document:
    """A function with a hole: the model reads both ends and writes the middle."""
    lines = source(FUNCTIONS[4] if rng.random() < 0.2 else rng.choice(FUNCTIONS)).split("\n")
    if len(lines) == 2 or rng.random() < 0.3:
        first, last = 1, len(lines) - (1 if len(lines) > 2 and rng.random() < 0.6 else 0)
    else:
        first = rng.randint(1, len(lines) - 1)
        last = rng.randint(first + 1, len(lines))
    prefix, middle = "\n".join(lines[:first]), "\n" + "\n".join(lines[first:last])
    suffix = "\n".join(lines[last:])
    if suffix and rng.random() < 0.5:
        suffix = "\n" + suffix
    elif suffix:
        middle += "\n"
    if rng.random() < 0.3:
        prefix, middle = prefix + "\n", middle[1:]
    return [
        Segment(f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>", False),
        Segment(f"{middle}<|endoftext|>", True),
    ]


def documents(seed: int, long: bool = False) -> Iterator[Document]:
    """The corpus: the same seed gives the same endless stream. `long` asks for long talks."""
    rng = Random(seed)
    makers: list[Callable[[Random], Document]] = [
        chat_document,
        raw_document,
        infill_document,
        tool_document,
    ]
    while True:
        maker = rng.choices(makers, [80, 11, 4, 5])[0]
        if long and maker is chat_document:
            yield chat_document(rng, rng.randint(4, 20))
        else:
            yield maker(rng)
