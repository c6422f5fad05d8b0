"""Shapes of models to measure with: some that people run, and one that is hardly there."""

from __future__ import annotations

from dataclasses import dataclass

from llamawire.cli.errors import CliError

__all__ = ["SHAPES", "Shape", "shape_named"]


@dataclass(frozen=True)
class Shape:
    """A model of the architecture llama. Widths are multiples of 32."""

    name: str
    blocks: int
    width: int
    heads: int
    heads_kv: int
    feed_forward: int
    vocabulary: int
    type: str
    """Of the matrices: Q8_0 or Q4_0. The embedding, which is the output as well, is Q8_0."""

    @property
    def width_kv(self) -> int:
        return self.width // self.heads * self.heads_kv


SHAPES = (
    Shape("tiny-1m-q8_0", 4, 128, 4, 4, 384, 1024, "Q8_0"),
    Shape("smollm2-135m-q8_0", 30, 576, 9, 3, 1536, 49152, "Q8_0"),
    Shape("llama3.2-1b-q4_0", 16, 2048, 32, 8, 8192, 128256, "Q4_0"),
    Shape("llama3-8b-q8_0", 32, 4096, 32, 8, 14336, 128256, "Q8_0"),
    Shape("llama3-8b-q4_0", 32, 4096, 32, 8, 14336, 128256, "Q4_0"),
)


def shape_named(name: str) -> Shape:
    """Raises CliError, with the names there are."""
    for shape in SHAPES:
        if shape.name == name:
            return shape
    names = ", ".join(shape.name for shape in SHAPES)
    raise CliError(f"there is no shape {name!r}; --make-model takes one of {names}")
