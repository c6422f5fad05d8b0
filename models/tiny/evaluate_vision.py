"""Scores tiny-vision on drawings and questions that training never had, and without a picture.

    python models/tiny/evaluate_vision.py [--folder models/tiny] [--verbose]

The answers are greedy. One is right if it names what was asked for and no other colour or shape.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import export_vision
import torch
from evaluate import score
from held_out import UNSEEN
from looking import pictures_of
from pictures import HELD_OUT, Drawing, held_out_drawings, is_right
from seeing import Seeing
from train_vision import SEED

ROUNDS = 10
"""Drawings of each held-out pair of shape and colour."""
HERE = Path(__file__).parent


def right(seeing: Seeing, drawings: list[Drawing], kind: str, question: str, verbose: bool) -> int:
    """How many of the drawings one question is answered right for."""
    size = seeing.eyes.sight.image
    pictures = pictures_of(drawings, [(size, size)] * len(drawings), size)
    answers = seeing.answers(pictures, question)
    outcomes = [is_right(kind, *pair) for pair in zip(drawings, answers, strict=True)]
    if verbose:
        for drawing, answer, good in zip(drawings, answers, outcomes, strict=True):
            print("right" if good else "WRONG", drawing.colour, drawing.shape, answer, sep=" | ")
    return sum(outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE, help="where the two files lie")
    parser.add_argument("--verbose", action="store_true", help="print every answer")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    adapter = arguments.folder / "tiny-vision-adapter.gguf"
    tiny, tokens = export_vision.read_tiny(HERE / "tiny.gguf", adapter)
    eyes = export_vision.read_eyes(arguments.folder / "tiny-vision.gguf")
    seeing = Seeing(tiny, tokens, eyes)
    drawings = held_out_drawings(Random(SEED), ROUNDS)
    for kind, questions in HELD_OUT.items():
        for question in questions:
            count = right(seeing, drawings, kind, question, arguments.verbose)
            print(f"{question} {count} of {len(drawings)} right", flush=True)
    print(f"held-out questions without a picture: {score(tiny, tokens, UNSEEN)} of {len(UNSEEN)}")


if __name__ == "__main__":
    main()
