"""What can be wrong with a Modelfile."""

from __future__ import annotations

__all__ = ["ModelfileError"]


class ModelfileError(ValueError):
    """The text is not a Modelfile, or a value in it is not what its parameter takes."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text if line is None else f"(line {line}): {text}")
        self.line = line
