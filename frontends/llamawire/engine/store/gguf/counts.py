"""Numbers of a GGUF's metadata that count something, each against its limits."""

from __future__ import annotations

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.header import Gguf

__all__ = ["count", "counts"]

COUNTS_MAX = 512
"""Of a list with one for each block."""


def count(gguf: Gguf, name: str, least: int, most: int) -> int | None:
    """A number that must lie between two others if it is given at all."""
    if not gguf.has(name):
        return None
    value = gguf.integer(name)
    if value is None:
        raise InvalidGguf(f"{gguf.key(name)} must be an integer")
    if not least <= value <= most:
        raise InvalidGguf(f"{gguf.key(name)} {value} is not between {least} and {most}")
    return value


def counts(gguf: Gguf, name: str) -> list[int] | None:
    """A number, or one for each block; none of them negative."""
    if not gguf.has(name):
        return None
    values = gguf.integers(name)
    if values is None or len(values) > COUNTS_MAX or any(value < 0 for value in values):
        raise InvalidGguf(f"{gguf.key(name)} must be a count, or one for each block")
    return values
