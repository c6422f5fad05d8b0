"""Scores a `tiny.gguf`: loss on unseen talk, and answers to questions the corpus never asks.

    python models/tiny/evaluate.py [FILE]

The answers are greedy. An answer is right if it holds all the words named beside its question.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import export
import torch
from chat import chat
from held_out import SEEN, UNSEEN, Question
from model import Tiny
from tokenizer import Tokenizer
from train import LONG_ROW, SEED, SHORT_ROW, THREADS, Packer, loss_of

BATCHES = 12


@torch.no_grad()
def loss(model: Tiny, tokens: Tokenizer, length: int) -> float:
    """Mean loss of an answer's token, over documents from a seed that training did not use."""
    packer = Packer(tokens, SEED + 1000, length, 4096 // length)
    total = 0.0
    for _ in range(BATCHES):
        ids, positions, weights, mask = packer.batch()
        total += loss_of(model, (ids, positions, (weights == 1.0).float(), mask)).item()
    return total / BATCHES


def answer(model: Tiny, tokens: Tokenizer, prompt: str) -> str:
    stop = {tokens.id_of("<|im_end|>"), tokens.id_of("<|endoftext|>")}
    said = model.generate(tokens.encode(prompt), stop)
    return tokens.decode(i for i in said if i not in stop)


def ask(model: Tiny, tokens: Tokenizer, question: str) -> str:
    return answer(model, tokens, chat("", [(question, "")])[0].text)


def score(model: Tiny, tokens: Tokenizer, questions: list[Question]) -> int:
    """How many of the questions are answered right; prints every answer."""
    right = 0
    for question, words in questions:
        text = ask(model, tokens, question)
        good = all(word.lower() in text.lower() for word in words)
        right += good
        print("right" if good else "WRONG", question, text.replace("\n", "\\n"), sep=" | ")
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=Path(__file__).parent / "tiny.gguf")
    parser.add_argument("--ask", help="answer this instead, and nothing else")
    parser.add_argument("--raw", help="continue this text instead, and nothing else")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    model, tokens = export.read(arguments.file)
    if arguments.ask or arguments.raw:
        print(
            ask(model, tokens, arguments.ask)
            if arguments.ask
            else answer(model, tokens, arguments.raw)
        )
        return
    for name, length in [("short", SHORT_ROW), ("long", LONG_ROW)]:
        print(f"held-out loss, {name} talks: {loss(model, tokens, length):.4f}")
    seen = score(model, tokens, SEEN)
    unseen = score(model, tokens, UNSEEN)
    print(f"held-out questions, seen while writing the templates: {seen} of {len(SEEN)} right")
    print(f"held-out questions, written after the templates: {unseen} of {len(UNSEEN)} right")
    sys.exit(0 if unseen >= 0.9 * len(UNSEEN) else 1)


if __name__ == "__main__":
    main()
