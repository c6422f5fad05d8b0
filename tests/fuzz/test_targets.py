"""A short run of what `make fuzz` runs for long: each target's seeds, and mutations of them."""

from __future__ import annotations

import random

import pytest

from fuzz.targets import TARGETS, Target

MUTATIONS = 100


def mutated(draw: random.Random, data: bytes, target: Target) -> bytes:
    """Some bytes changed, cut out, doubled, or words put in."""
    changed = bytearray(data)
    words = target.words.encode().split() or [b"\0", b"\xff"]
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(changed))
        length = draw.randint(0, 9)
        new = draw.choice([b"", draw.randbytes(draw.randint(1, 4)), draw.choice(words),
                           bytes(changed[at : at + length]) * 2])  # fmt: skip
        changed[at : at + length] = new
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_whatever_it_is_given(name: str) -> None:
    target = TARGETS[name]
    draw = random.Random(name)
    seeds = [*target.seeds(), b""]
    for seed in seeds:
        target.check(seed)
    for _ in range(MUTATIONS):
        data = mutated(draw, draw.choice(seeds), target)
        try:
            target.check(data)
        except Exception as error:
            raise AssertionError(f"{name} does not bear {data!r}") from error
