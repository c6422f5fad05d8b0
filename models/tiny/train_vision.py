"""Trains eyes for tiny and writes `tiny-vision.gguf` and `tiny-vision-adapter.gguf`.

    python models/tiny/train_vision.py

First the eyes learn to see, by themselves (`looking.py`). Then their projector learns to tell tiny
what they see, and an adapter learns what tiny needs to say it; `tiny.gguf` stays as it is, and what
comes out belongs to exactly that one.

A shape's name is trained on drawings of a colour without a name, after any name of a colour: what
was trained on pairs would be bound to those pairs. Every fifth step is talk without pictures, so
that tiny forgets little. One thread and one seed: the same machine writes the same files again.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import export
import export_vision
import lora
import torch
from drawing import COLOURS, Drawing
from eyes import Eyes, Sight
from facts import fact_turn
from looking import Looking, pictures_of, sides
from muon import Muon
from pictures import answer_pieces, any_kind, held_out_drawings, question, training_drawing
from seeing import Answer, Seeing
from torch import Tensor

SEED = 20261125
LOOKING_STEPS = 2400
TELLING_STEPS, TELLING_ROWS, TALKING_ROWS = 600, 32, 16
TALK_EVERY = 5
NAMELESS_SHARE = 0.6
"""Of the questions for both: how many train the shape, and not the colour."""
MUON_RATE, ADAM_RATE = 0.02, 0.003
TELLING_RATE = 0.002
WARM_UP_STEPS = 20
PRINT_EVERY = 50
HERE = Path(__file__).parent


def learn(
    learners: list[torch.optim.Optimizer], steps: int, loss_of: Callable[[int], Tensor]
) -> None:
    """Takes steps at rates that rise for a moment, stay, and fall to nothing."""
    groups = [group for learner in learners for group in learner.param_groups]
    rates = [group["lr"] for group in groups]
    parameters = [parameter for group in groups for parameter in group["params"]]
    start = time.monotonic()
    for step in range(steps):
        factor = min(1.0, (step + 1) / WARM_UP_STEPS, (steps - step) / (0.6 * steps))
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * factor
        for learner in learners:
            learner.zero_grad()
        loss = loss_of(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for learner in learners:
            learner.step()
        if step % PRINT_EVERY == 0 or step == steps - 1:
            spent = time.monotonic() - start
            print(f"step {step} loss {loss.item():.4f} after {spent:.0f} s", flush=True)


def look(eyes: Eyes, steps: int, rng: Random) -> None:
    """Muon for the matrices of the blocks, AdamW for the rest, as for tiny itself."""
    looking = Looking(eyes)
    inner = [weight for weight in eyes.v.blk.parameters() if weight.dim() == 2]
    rest = [weight for weight in looking.parameters() if all(weight is not one for one in inner)]
    learners = [
        Muon(inner, lr=MUON_RATE, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    learn(learners, steps, lambda step: looking.loss(rng))
    shape, colour = looking.right(held_out_drawings(Random(SEED), 20))
    print(
        f"of held-out drawings the eyes see {shape:.3f} of the shapes, {colour:.3f} of the colours"
    )


def tell(seeing: Seeing, steps: int, rng: Random) -> None:
    adapter = [parameter for _, parameter in lora.adapter(seeing.tiny)]
    parameters = [*adapter, *seeing.eyes.mm.parameters()]
    learner = torch.optim.AdamW(parameters, lr=TELLING_RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def loss_of(step: int) -> Tensor:
        if step % TALK_EVERY == TALK_EVERY - 1:
            turns = [fact_turn(rng) for _ in range(TALKING_ROWS)]
            return seeing.talking_loss(*columns(turns))
        return telling_loss(seeing, rng)

    learn([learner], steps, loss_of)


def telling_loss(seeing: Seeing, rng: Random) -> Tensor:
    """That of one step of questions about new drawings."""
    kinds = [any_kind(rng) for _ in range(TELLING_ROWS)]
    rows = [telling_row(rng, kind) for kind in kinds]
    drawings = [drawing for drawing, _ in rows]
    size = seeing.eyes.sight.image
    pictures = pictures_of(drawings, [sides(rng, size) for _ in drawings], size)
    questions = [question(rng, kind) for kind in kinds]
    return seeing.loss(pictures, questions, [answer for _, answer in rows])


def telling_row(rng: Random, kind: str) -> tuple[Drawing, Answer]:
    """A drawing, and what of the answer about it is trained: the colour's name, or the shape's."""
    is_nameless = kind == "shape" or (kind == "both" and rng.random() < NAMELESS_SHARE)
    drawing = training_drawing(rng, "" if is_nameless else None)
    colour = rng.choice(list(COLOURS)) if is_nameless else drawing.colour
    of_colour, of_shape = answer_pieces(kind, drawing.shape, colour)
    return drawing, [(of_colour, not is_nameless), (of_shape, is_nameless or kind == "colour")]


def columns(turns: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    questions, answers = zip(*turns, strict=True)
    return list(questions), list(answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder for both files")
    parser.add_argument(
        "--looked",
        type=Path,
        help="the eyes after they learned to see: kept here, or taken from here",
    )
    parser.add_argument("--looking-steps", type=int, default=LOOKING_STEPS)
    parser.add_argument("--telling-steps", type=int, default=TELLING_STEPS)
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    start = time.monotonic()
    eyes = Eyes(Sight())
    if arguments.looked is not None and arguments.looked.exists():
        eyes.load_state_dict(torch.load(arguments.looked))
    else:
        look(eyes, arguments.looking_steps, Random(SEED))
    if arguments.looked is not None:
        torch.save(eyes.state_dict(), arguments.looked)
    torch.manual_seed(SEED + 1)
    tiny, tokens = export.read(HERE / "tiny.gguf")
    lora.adapt(tiny)
    tell(Seeing(tiny, tokens, eyes), arguments.telling_steps, Random(SEED + 1))
    eyes_path = arguments.out / "tiny-vision.gguf"
    adapter_path = arguments.out / "tiny-vision-adapter.gguf"
    export_vision.write_eyes(eyes, eyes_path)
    export_vision.write_adapter(tiny, adapter_path)
    for path in (eyes_path, adapter_path):
        print(f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    print(f"after {time.monotonic() - start:.0f} s, {time.process_time():.0f} s of CPU")


if __name__ == "__main__":
    main()
