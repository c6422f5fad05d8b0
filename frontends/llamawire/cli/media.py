"""Pictures that a prompt names by their paths.

A path begins like one (`/`, `./`, `\\`, `.\\` or a drive) at the start of a word and ends like a
picture's; it may hold blanks, as they are or behind a backslash. What names no file stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from llamawire.cli.errors import CliError

__all__ = ["PICTURE_BYTES_MAX", "names_picture", "take_pictures"]

PICTURE_BYTES_MAX = 100 << 20
STARTS_MAX = 32
"""Places before a picture's ending at which its path may begin."""

_START = re.compile(r"(?<![^\s'\"(])(?:[A-Za-z]:|\.)?[/\\]")
_END = re.compile(r"\.(?:jpe?g|png|webp)(?!\w)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")


def take_pictures(prompt: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The prompt without the paths of pictures, and those with their bytes.

    Raises CliError for a file that is no picture or too large, OSError.
    """
    pictures = []
    for start, end, name in _paths(prompt):
        pictures.append((start, end, name, _read(name)))
    for start, end, _, _ in reversed(pictures):
        quoted = prompt[start - 1 : start] == prompt[end : end + 1] == "'"
        prompt = prompt[: start - quoted] + prompt[end + quoted :]
    return (prompt.strip() if pictures else prompt), [(name, data) for *_, name, data in pictures]


def names_picture(line: str) -> bool:
    """Whether a line begins with the path of a picture."""
    return next((start == 0 for start, _, _ in _paths(line)), False)


def _paths(prompt: str) -> Iterator[tuple[int, int, str]]:
    """Where files are named, from left to right; of several names that end at a place, the
    longest."""
    begin = 0
    for ending in _END.finditer(prompt):
        starts = [match.start() for match in _START.finditer(prompt, begin, ending.start())]
        for start in starts[-STARTS_MAX:]:
            name = _file(prompt[start : ending.end()])
            if name is not None:
                yield start, ending.end(), name
                begin = ending.end()
                break


def _file(text: str) -> str | None:
    for name in (text, _ESCAPED.sub(r"\1", text)):
        try:
            if Path(name).is_file():
                return name
        except (OSError, ValueError):
            continue
    return None


def _read(name: str) -> bytes:
    path = Path(name)
    if path.stat().st_size > PICTURE_BYTES_MAX:
        raise CliError("file size exceeds maximum limit (100MB)")
    data = path.read_bytes()
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not (is_webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))):
        raise CliError(f"invalid file type: {_kind(data)}")
    return data


def _kind(data: bytes) -> str:
    try:
        data[:512].decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"
