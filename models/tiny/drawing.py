"""Pictures of one shape in one colour on a background, drawn from a seed.

A shape is a function of a point: negative inside, positive outside, about one per radius. A pixel
is covered by as much of the shape as its distance from the edge says, so edges are smooth at every
size of picture. Nothing but numpy is needed, so that tests can draw too.

    python models/tiny/drawing.py red star > star.png
"""

from __future__ import annotations

import argparse
import math
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

Grid = np.ndarray[Any, np.dtype[np.float64]]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""[height, width, 3], red, green and blue."""
Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 220, 50),
    "green": (40, 165, 65),
    "blue": (40, 85, 220),
    "purple": (140, 50, 175),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
}
COLOUR_JITTER, BACKGROUND_DISTANCE, NAMELESS_DISTANCE = 22, 150.0, 60.0


def _circle(x: Grid, y: Grid) -> Grid:
    return np.hypot(x, y) - 1.0


def _ring(x: Grid, y: Grid) -> Grid:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def _moon(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.hypot(x, y) - 1.0, 0.85 - np.hypot(x - 0.5, y))


def _square(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.abs(x), np.abs(y)) - 0.8


def _cross(x: Grid, y: Grid) -> Grid:
    across, along = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(across - 0.3, along - 1.0), np.maximum(across - 1.0, along - 0.3))


def _triangle(x: Grid, y: Grid) -> Grid:
    slope = math.sqrt(3) / 2
    return np.maximum(y, np.maximum(slope * x - y / 2, -slope * x - y / 2)) - 0.5


def _star(x: Grid, y: Grid) -> Grid:
    """Five points: all around the middle the same half of a point, mirrored."""
    fifth = 2 * math.pi / 5
    angle = np.abs((np.arctan2(x, -y) + fifth / 2) % fifth - fifth / 2)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    tip, notch = np.array([1.0, 0.0]), 0.42 * np.array([math.cos(fifth / 2), math.sin(fifth / 2)])
    edge = (notch - tip) / math.hypot(*(notch - tip))
    return (along - tip[0]) * edge[1] - (across - tip[1]) * edge[0]


def _heart(x: Grid, y: Grid) -> Grid:
    """A square on its corner, with a half circle on each of its upper sides."""
    x, y = np.abs(x) * 1.15, y * 1.15 - 0.15
    turned = np.maximum(np.abs(x - y), np.abs(x + y)) / math.sqrt(2) - 0.55
    side = 0.55 / math.sqrt(2)
    return np.minimum(turned, np.hypot(x - side, y + side) - 0.55)


@dataclass(frozen=True)
class Shape:
    """Whether a point is inside, and how far from upright it may be drawn, in radians."""

    distance: Callable[[Grid, Grid], Grid]
    turn: float


SHAPES: dict[str, Shape] = {
    "circle": Shape(_circle, math.pi),
    "square": Shape(_square, 0.35),
    "triangle": Shape(_triangle, 0.35),
    "star": Shape(_star, 0.35),
    "cross": Shape(_cross, 0.35),
    "heart": Shape(_heart, 0.35),
    "ring": Shape(_ring, math.pi),
    "moon": Shape(_moon, 0.4),
}


@dataclass(frozen=True)
class Drawing:
    """Lengths are shares of the shorter side; the middle is a share of width and of height."""

    shape: str
    colour: str
    middle: tuple[float, float]
    radius: float
    turn: float
    paint: Colour
    background: tuple[Colour, Colour]
    """At the top and at the bottom."""
    grain: float
    """How far the noise of a pixel goes, of 255."""


def sketch(rng: Random, shape: str, colour: str) -> Drawing:
    """A drawing of that shape and colour, the rest by chance. No colour: one without a name."""
    paint = _near(rng, COLOURS[colour], COLOUR_JITTER) if colour else _nameless(rng)
    top = _other_colour(rng, paint)
    bottom = top if rng.random() < 0.6 else _other_colour(rng, paint)
    radius = rng.uniform(0.2, 0.42)
    return Drawing(
        shape,
        colour,
        (rng.uniform(radius, 1 - radius), rng.uniform(radius, 1 - radius)),
        radius,
        rng.uniform(-1, 1) * SHAPES[shape].turn,
        paint,
        (top, bottom),
        rng.choice([0.0, 0.0, 4.0, 8.0]),
    )


def _near(rng: Random, colour: Colour, jitter: float) -> Colour:
    red, green, blue = (min(255.0, max(0.0, c + rng.uniform(-jitter, jitter))) for c in colour)
    return red, green, blue


def _nameless(rng: Random) -> Colour:
    while True:
        colour = (rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255))
        if all(math.dist(colour, named) >= NAMELESS_DISTANCE for named in COLOURS.values()):
            return colour


def _other_colour(rng: Random, paint: Colour) -> Colour:
    """White, a pale or dark tone or any colour, if the shape can be told from it."""
    while True:
        kind, grey = rng.random(), rng.uniform(0, 255)
        if kind < 0.3:
            colour = _near(rng, COLOURS["white"], 10)
        elif kind < 0.6:
            colour = _near(rng, (grey, grey, grey), 25)
        else:
            colour = (rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255))
        if math.dist(colour, paint) >= BACKGROUND_DISTANCE:
            return colour


def cover(drawing: Drawing, width: int, height: int) -> Grid:
    """How much of each pixel the shape covers, [height, width] from 0 to 1."""
    short = min(width, height)
    x = (np.arange(width) + 0.5 - drawing.middle[0] * width) / (drawing.radius * short)
    y = (np.arange(height) + 0.5 - drawing.middle[1] * height) / (drawing.radius * short)
    cosine, sine = math.cos(drawing.turn), math.sin(drawing.turn)
    across, down = np.meshgrid(x, y)
    distance = SHAPES[drawing.shape].distance(
        across * cosine + down * sine, down * cosine - across * sine
    )
    return np.clip(0.5 - distance * drawing.radius * short, 0.0, 1.0)


def draw(drawing: Drawing, width: int, height: int) -> Pixels:
    """The picture, equal at every call."""
    covered = cover(drawing, width, height)[..., None]
    share = np.linspace(0.0, 1.0, height)[:, None, None]
    top, bottom = (np.array(colour) for colour in drawing.background)
    ground = top * (1 - share) + bottom * share
    picture = ground * (1 - covered) + np.array(drawing.paint) * covered
    if drawing.grain:
        noise = np.random.default_rng(round(drawing.radius * 1e9))
        picture = picture + noise.uniform(-drawing.grain, drawing.grain, (height, width, 1))
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def png(pixels: Pixels) -> bytes:
    """The picture as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits each of RGB.
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws a shape and writes it as a PNG file.")
    parser.add_argument("colour", choices=COLOURS)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--seed", type=int, default=1, help="for place, size and background")
    parser.add_argument("--size", type=int, default=128, help="pixels across and down")
    arguments = parser.parse_args()
    drawing = sketch(Random(arguments.seed), arguments.shape, arguments.colour)
    sys.stdout.buffer.write(png(draw(drawing, arguments.size, arguments.size)))


if __name__ == "__main__":
    main()
