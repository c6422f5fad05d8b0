"""A vocabulary for byte-pair encoding in which the bench's own words are single tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator

from llamawire.cli.bench.prompts import WORDS

__all__ = ["SPECIALS", "byte_letters", "make_vocabulary"]

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
"""The last ids. The first of them ends an answer."""

_ONSETS = (
    "b",
    "c",
    "d",
    "f",
    "g",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "ch",
    "sh",
    "st",
    "tr",
)


def byte_letters() -> list[str]:
    """The letter by which GPT-2's tokenizer writes each byte."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def make_vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Tokens (bytes, parts of words and words, specials) and the merges that make them.

    The same for the same size, which is at least 512. Words beyond the bench's own are made up.
    """
    letters = byte_letters()
    blank = letters[32]
    known: dict[str, None] = dict.fromkeys(letters)
    merges: list[str] = []
    wanted = size - len(SPECIALS)
    words = iter_words()
    while len(known) < wanted:
        word = blank + next(words)
        for end in range(2, len(word) + 1):
            part = word[:end]
            if part in known:
                continue
            if len(known) == wanted:
                break
            known[part] = None
            merges.append(f"{part[:-1]} {part[-1]}")
    return [*known, *SPECIALS], merges


def iter_words() -> Iterator[str]:
    """WORDS, then made-up ones without end."""
    yield from WORDS
    draw = random.Random("vocabulary")
    while True:
        syllables = (draw.choice(_ONSETS) + draw.choice("aeiou") for _ in range(draw.randint(2, 4)))
        yield "".join(syllables)
