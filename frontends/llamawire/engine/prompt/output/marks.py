"""Marks: control tokens that a format is written with.

A control token has no text, so a worker spells out those that it is asked for, each whole and
between two characters that Unicode keeps for such use (csrc/llamawire/text.h). So a mark can be
told from the same text that a model spells itself: a reader finds both, a client sees neither
these characters nor a mark that the reader made nothing of.
"""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["MARK_BEGIN", "MARK_END", "marks_in", "split_marks"]

MARK_BEGIN: Final = "\ufdd0"
MARK_END: Final = "\ufdd1"

_MARK: Final = re.compile(f"{MARK_BEGIN}([^{MARK_BEGIN}{MARK_END}]*){MARK_END}")
_TAG: Final = re.compile(r"<[^<>\s]+>|\[[A-Z_/]+\]")


def marks_in(*texts: str) -> tuple[str, ...]:
    """What in these texts may be a control token of some vocabulary: tags, each once."""
    return tuple(dict.fromkeys(tag for text in texts for tag in _TAG.findall(text)))


def split_marks(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a worker's text, and whether they are marks."""
    for index, part in enumerate(_MARK.split(text)):
        if part:
            yield part, index % 2 == 1
