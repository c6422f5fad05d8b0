"""Trains the model in the box from nothing and writes `tiny.gguf`.

    python models/tiny/train.py

Corpus, vocabulary, first weights and batches all come from one seed, and the arithmetic is held to
two threads and to deterministic algorithms: the same machine writes the same file again. It is in
32 bits, because many processors have no fast instructions for less.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import corpus
import export
import numpy as np
import tokenizer
import torch
import torch.nn.functional as F
from model import Shape, Tiny
from muon import Muon
from torch import Tensor

SEED = 20261122
THREADS = 2
STEPS = 3000
LONG_STEPS = 0.12  # The last share of the steps reads long talks.
WARM_UP_STEPS = 40
TOKENS_PER_STEP = 4096
SHORT_ROW, LONG_ROW = 512, 1024
VOCABULARY_DOCUMENTS = 12000
PROMPT_WEIGHT = 0.1
MUON_RATE, ADAM_RATE = 0.02, 0.004
HERE = Path(__file__).parent


class Packer:
    """Packs documents into rows. A token sees its own document only, as in a fresh request.

    In some talks the positions jump ahead from one turn to the next. So the model meets the
    distances of a long context without the cost of reading one.
    """

    def __init__(self, tokens: tokenizer.Tokenizer, seed: int, length: int, rows: int) -> None:
        self.tokens = tokens
        self.shape = (rows, length)
        self.documents = corpus.documents(seed, long=length > SHORT_ROW)
        self.rng = Random(seed)
        self.left_over: tuple[list[int], list[float], list[int]] | None = None

    def _encoded(self) -> tuple[list[int], list[float], list[int]]:
        """Ids, the weight of each as a target, and positions of the next document."""
        ids: list[int] = []
        weights: list[float] = []
        positions: list[int] = []
        jumps = self.rng.random() < 0.15
        skipped = 0
        for segment in next(self.documents):
            new = self.tokens.encode(segment.text)
            if jumps and not segment.trained and ids:
                skipped += self.rng.randint(0, (3000 - skipped) // 2)
            positions += range(skipped + len(ids), skipped + len(ids) + len(new))
            ids += new
            weights += [1.0 if segment.trained else PROMPT_WEIGHT] * len(new)
        length = self.shape[1]
        return ids[:length], weights[:length], positions[:length]

    def batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ids, positions, target weights and the mask of who may see whom."""
        rows, length = self.shape
        ids = np.full(self.shape, self.tokens.id_of("<|pad|>"))
        positions, owners = np.zeros(self.shape, int), np.zeros(self.shape, int)
        weights = np.zeros(self.shape, np.float32)
        used, owner = [0] * rows, 0
        while True:
            document = self.left_over or self._encoded()
            size = len(document[0])
            row = next((r for r in range(rows) if used[r] + size <= length), None)
            if row is None:
                self.left_over = document
                break
            self.left_over, owner = None, owner + 1
            place = (row, slice(used[row], used[row] + size))
            ids[place], weights[place], positions[place] = document
            weights[row, used[row]] = 0.0  # Nothing before it can foretell a first token.
            owners[place] = owner
            used[row] += size
        owner_of = torch.from_numpy(owners)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        mask = (owner_of[:, :, None] == owner_of[:, None, :]) & causal
        return (
            torch.from_numpy(ids),
            torch.from_numpy(positions),
            torch.from_numpy(weights),
            mask[:, None],
        )


def loss_of(model: Tiny, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Mean loss of a target, by the weights of the batch."""
    ids, positions, weights, mask = batch
    logits = model(ids, positions, mask)[:, :-1].float()
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    flat = weights[:, 1:].flatten()
    return (losses * flat).sum() / flat.sum()


def optimizers(model: Tiny) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, which learns about twice as fast here; AdamW for the rest."""
    inner = [p for p in model.blk.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if all(p is not q for q in inner)]
    return [
        Muon(inner, lr=MUON_RATE, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def batches(tokens: tokenizer.Tokenizer, steps: int) -> Iterator[tuple[Tensor, ...]]:
    """Short rows first, long rows at the end."""
    for seed, length, share in [
        (SEED + 1, SHORT_ROW, 1 - LONG_STEPS),
        (SEED + 2, LONG_ROW, LONG_STEPS),
    ]:
        packer = Packer(tokens, seed, length, TOKENS_PER_STEP // length)
        for _ in range(round(steps * share)):
            yield packer.batch()


def learn_vocabulary(size: int) -> tokenizer.Tokenizer:
    texts = (
        "".join(segment.text for segment in document)
        for document in islice(corpus.documents(SEED), VOCABULARY_DOCUMENTS)
    )
    return tokenizer.train(texts, size)


def train(model: Tiny, tokens: tokenizer.Tokenizer, steps: int, keep: Path) -> None:
    learners = optimizers(model)
    rates = [learner.param_groups[0]["lr"] for learner in learners]
    start, seen = time.monotonic(), 0.0
    for step, batch in enumerate(batches(tokens, steps)):
        factor = min(1.0, (step + 1) / WARM_UP_STEPS, (steps - step) / (0.6 * steps))
        for learner, rate in zip(learners, rates, strict=True):
            learner.param_groups[0]["lr"] = rate * factor
            learner.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for learner in learners:
            learner.step()
        seen += float((batch[2] > 0).sum())
        if step % 20 == 0 or step == steps - 1:
            spent = time.monotonic() - start
            print(f"step {step} loss {loss.item():.4f} {seen / spent:.0f} tokens/s", flush=True)
        if step % 200 == 199:
            keep.mkdir(parents=True, exist_ok=True)
            export.write(model, tokens, keep / "checkpoint.gguf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "tiny.gguf")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--keep",
        type=Path,
        default=HERE.parents[1] / "build" / "tiny",
        help="folder for checkpoints",
    )
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    start = time.monotonic()
    shape = Shape()
    tokens = learn_vocabulary(shape.vocabulary)
    model = Tiny(shape)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, tokens, arguments.steps, arguments.keep)
    export.write(model, tokens, arguments.out)
    digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{arguments.out.name} sha256:{digest} after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
