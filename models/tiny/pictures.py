"""What is asked about a drawing and what the answer is.

Some pairs of shape and colour are never drawn in training, nor is a shape in the middle of
`UNSEEN_PLACE`, of a radius in `UNSEEN_RADIUS` or on a background near `UNSEEN_BACKGROUNDS`, nor are
the questions in `HELD_OUT` asked: they are the score.
"""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import phrasing
from drawing import BACKGROUND_DISTANCE, COLOURS, SHAPES, Colour, Drawing, sketch

WHAT = [
    "what is in this picture",
    "what is in this picture",
    "what is in this image",
    "what is in the picture",
    "what do you see",
    "what do you see in this image",
    "what does the picture show",
    "describe this picture",
    "describe the image",
    "describe what you see",
    "describe what is in this picture",
    "please describe this image",
    "what do you see here",
    "what is this",
    "tell me what is in the image",
    "what is drawn here",
]
COLOUR = [
    "what color is it",
    "what colour is it",
    "what color is the shape",
    "which color is this",
    "what is the color of the shape",
    "tell me the color",
]
SHAPE = [
    "what shape is it",
    "what shape is this",
    "which shape is in the picture",
    "what is the shape",
    "tell me the shape",
    "what kind of shape is this",
]
FORMS = {"both": WHAT, "colour": COLOUR, "shape": SHAPE}
SHARES = {"both": 60, "colour": 20, "shape": 20}
HELD_OUT = {
    "both": ["What can you see in this picture?", "Please describe what the image shows."],
    "colour": ["What is the color of this?"],
    "shape": ["What kind of shape do you see?"],
}

PAIRS = [(shape, colour) for shape in SHAPES for colour in COLOURS]
UNSEEN_PAIRS = [
    (shape, colour)
    for i, shape in enumerate(SHAPES)
    for j, colour in enumerate(COLOURS)
    if (j - i) % len(COLOURS) == 3
]
"""Each shape and each colour once."""
SEEN_PAIRS = [pair for pair in PAIRS if pair not in UNSEEN_PAIRS]
UNSEEN_PLACE = ((0.55, 0.7), (0.35, 0.5))
"""Across and down, shares of the picture."""
UNSEEN_RADIUS = (0.29, 0.32)
UNSEEN_BACKGROUNDS: list[Colour] = [
    (250.0, 150.0, 215.0),
    (0.0, 95.0, 105.0),
    (120.0, 220.0, 225.0),
]
"""Pink, dark teal and turquoise; and all that is nearer to them than `BACKGROUND_NEAR`."""
BACKGROUND_NEAR = 45.0


def is_held_out(drawing: Drawing) -> bool:
    """Whether place, size or background of a drawing belong to the score."""
    place = all(
        low <= at <= high for at, (low, high) in zip(drawing.middle, UNSEEN_PLACE, strict=True)
    )
    size = UNSEEN_RADIUS[0] <= drawing.radius <= UNSEEN_RADIUS[1]
    background = any(
        math.dist(colour, unseen) < BACKGROUND_NEAR
        for colour in drawing.background
        for unseen in UNSEEN_BACKGROUNDS
    )
    return place or size or background


def training_drawing(rng: Random, colour: str | None = None) -> Drawing:
    """A drawing of a pair that training may see; `colour` "" is one without a name."""
    while True:
        shape, drawn = rng.choice(SEEN_PAIRS)
        drawing = sketch(rng, shape, drawn if colour is None else colour)
        if not is_held_out(drawing):
            return drawing


def held_out_drawing(rng: Random, shape: str, colour: str) -> Drawing:
    """Place, size and background that training never saw, of any pair."""
    drawing = sketch(rng, shape, colour)
    far = [c for c in UNSEEN_BACKGROUNDS if math.dist(c, drawing.paint) >= BACKGROUND_DISTANCE]
    backgrounds = (rng.choice(far), rng.choice(far))
    middle = (rng.uniform(*UNSEEN_PLACE[0]), rng.uniform(*UNSEEN_PLACE[1]))
    return replace(
        drawing, middle=middle, radius=rng.uniform(*UNSEEN_RADIUS), background=backgrounds
    )


def held_out_drawings(rng: Random, rounds: int) -> list[Drawing]:
    """`rounds` drawings of each pair that training never drew."""
    return [held_out_drawing(rng, *pair) for _ in range(rounds) for pair in UNSEEN_PAIRS]


def question(rng: Random, kind: str) -> str:
    while True:
        text = phrasing.english(rng, rng.choice(FORMS[kind]))
        if text not in HELD_OUT[kind]:
            return text


def any_kind(rng: Random) -> str:
    return rng.choices(list(SHARES), list(SHARES.values()))[0]


def words(kind: str, drawing: Drawing) -> list[str]:
    """What a right answer holds."""
    names = {"colour": [drawing.colour], "shape": [drawing.shape]}
    return names.get(kind, [drawing.colour, drawing.shape])


def answer(kind: str, drawing: Drawing) -> str:
    return "".join(answer_pieces(kind, drawing.shape, drawing.colour))


def answer_pieces(kind: str, shape: str, colour: str) -> tuple[str, str]:
    """What of an answer tells the colour, and then what of it tells the shape."""
    if kind == "colour":
        return f"It is {colour}.", ""
    article = "An" if (colour if kind == "both" else shape)[0] in "aeiou" else "A"
    return (f"{article} {colour}", f" {shape}.") if kind == "both" else ("", f"{article} {shape}.")


def is_right(kind: str, drawing: Drawing, said: str) -> bool:
    """Whether an answer names what was asked for, and no other colour or shape."""
    spoken = "".join(c if c.isalpha() else " " for c in said.lower()).split()
    wanted = set(words(kind, drawing))
    names = set(COLOURS) | set(SHAPES)
    return names.intersection(spoken) == wanted
