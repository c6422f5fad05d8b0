"""A byte-level BPE vocabulary in the manner of GPT-2: training, encoding, decoding.

llama.cpp must cut a text into the same tokens, so three things follow it exactly: how a text falls
into words (its pre-tokenizer `gpt-2`), how bytes are written as characters, and that within a word
the merge learned first is applied first.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

# Control tokens guide the model and are not shown. Their places are fixed: other parts of the
# project, and models trained later, may rely on them.
CONTROL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|pad|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|image|>",
    *(f"<|reserved_{i}|>" for i in range(8)),
]
# These are single tokens too, but a client sees their text: servers find calls and thoughts by it.
VISIBLE = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
]
SPECIALS = CONTROL + VISIBLE


def _ranges(category: str) -> str:
    """The characters whose Unicode category begins with `category`, as the inside of a class."""
    codes = [c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == category]
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in spans)


@cache
def _word_pattern() -> re.Pattern[str]:
    letter, number = _ranges("L"), _ranges("N")
    return re.compile(
        rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^\s{letter}{number}]+"
        r"|\s+(?!\S)|\s+"
    )


_SPECIAL_PATTERN = re.compile("(" + "|".join(re.escape(text) for text in SPECIALS) + ")")


def words(text: str) -> list[str]:
    """Cuts a text as the pre-tokenizer `gpt-2` does."""
    return _word_pattern().findall(text)


def _byte_characters() -> list[str]:
    """GPT-2's table: printable bytes stand for themselves, the others move up past 255."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {byte: chr(byte) for byte in shown}
    table |= {byte: chr(256 + i) for i, byte in enumerate(hidden)}
    return [table[byte] for byte in range(256)]


BYTE_CHARACTERS = _byte_characters()
_BYTE_OF = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


def _spelled(word: str) -> list[str]:
    return [BYTE_CHARACTERS[byte] for byte in word.encode()]


@dataclass
class Tokenizer:
    """The vocabulary: byte characters, then merge results in order, then the special tokens."""

    merges: list[tuple[str, str]]
    tokens: list[str] = field(init=False)
    _ids: dict[str, int] = field(init=False)
    _ranks: dict[tuple[str, str], int] = field(init=False)
    _cache: dict[str, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = [*BYTE_CHARACTERS, *(a + b for a, b in self.merges), *SPECIALS]
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        assert len(self._ids) == len(self.tokens), "two tokens have the same text"

    def id_of(self, token: str) -> int:
        return self._ids[token]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; special tokens written out in it become one id each."""
        ids: list[int] = []
        for part in _SPECIAL_PATTERN.split(text):
            if part in SPECIALS:
                ids.append(self._ids[part])
                continue
            for word in words(part):
                if word not in self._cache:
                    self._cache[word] = [self._ids[piece] for piece in self._merged(word)]
                ids += self._cache[word]
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Special tokens are written out."""
        data = b""
        for i in ids:
            token = self.tokens[i]
            data += token.encode() if token in SPECIALS else bytes(_BYTE_OF[c] for c in token)
        return data.decode(errors="replace")

    def _merged(self, word: str) -> list[str]:
        pieces = _spelled(word)
        while len(pieces) > 1:
            pairs = list(pairwise(pieces))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            pieces = _joined(pieces, best)
        return pieces


def _joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """`pieces` with each `pair` of neighbours, from the left, made one."""
    result: list[str] = []
    i = 0
    while i < len(pieces):
        if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == pair:
            result.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            result.append(pieces[i])
            i += 1
    return result


def _learnable(word: str) -> list[str]:
    """The parts of a word to learn merges in: Chinese, which has no spaces, one character each.

    Without this, whole sentences of our small corpus would become tokens.
    """
    return re.findall(r"[\u3000-\uffef]|[^\u3000-\uffef]+", word)


def train(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learns merges until the vocabulary is full; ties are broken by the texts of the pair."""
    counts = Counter(
        part
        for text in texts
        for stretch in _SPECIAL_PATTERN.split(text)
        if stretch not in SPECIALS
        for word in words(stretch)
        for part in _learnable(word)
    )
    spelled = [(_spelled(word), count) for word, count in sorted(counts.items())]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = {}
    for i, (pieces, count) in enumerate(spelled):
        for pair in pairwise(pieces):
            pairs[pair] += count
            where.setdefault(pair, set()).add(i)
    merges: list[tuple[str, str]] = []
    known = set(BYTE_CHARACTERS)
    while len(merges) < vocabulary_size - 256 - len(SPECIALS):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        assert pairs[best] > 0, "the corpus is too small for this vocabulary"
        if best[0] + best[1] in known:  # The same text by another way: a token must be unique.
            del pairs[best]
            continue
        merges.append(best)
        known.add(best[0] + best[1])
        for i in sorted(where.pop(best)):
            pieces, count = spelled[i]
            for pair in pairwise(pieces):
                pairs[pair] -= count
            pieces = _joined(pieces, best)
            spelled[i] = (pieces, count)
            for pair in pairwise(pieces):
                pairs[pair] += count
                where.setdefault(pair, set()).add(i)
        del pairs[best]
    return Tokenizer(merges)
