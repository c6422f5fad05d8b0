"""How a form is refused."""

from __future__ import annotations

from llamawire.engine.errors import InvalidArgument

__all__ = ["REPETITIONS_MAX", "invalid_format"]

REPETITIONS_MAX = 2000
"""llama.cpp's limit; csrc/llamawire/gbnf.h has the others."""


def invalid_format(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="INVALID_FORMAT", field="format")
