"""Paths of pictures in prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamawire.cli.errors import CliError
from llamawire.cli.media import take_pictures

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("cat.png", "my cat.JPG", "a'b.webp", "two.png"):
        kind = {"JPG": b"\xff\xd8\xff\xe0", "ebp": b"RIFF\0\0\0\0WEBP"}.get(name[-3:], PNG)
        (tmp_path / name).write_bytes(kind)
    return tmp_path


@pytest.mark.parametrize(
    ("prompt", "text", "names"),
    [
        ("What is in this picture ./cat.png", "What is in this picture", ["./cat.png"]),
        ("./cat.png what?", "what?", ["./cat.png"]),
        ("see './cat.png' now", "see  now", ["./cat.png"]),
        ("see './my cat.JPG' now", "see  now", ["./my cat.JPG"]),
        (r"see ./my\ cat.JPG now", "see  now", ["./my cat.JPG"]),
        ("./cat.png ./two.png", "", ["./cat.png", "./two.png"]),
        ("and/or ./cat.png", "and/or", ["./cat.png"]),
        ("read/write what ./cat.png", "read/write what", ["./cat.png"]),
        ("see ./none.png", "see ./none.png", []),
        ("see cat.png", "see cat.png", []),
        (" nothing here ", " nothing here ", []),
        ("./cat.pngx", "./cat.pngx", []),
    ],
)
def test_pictures_are_taken_out_of_a_prompt(prompt: str, text: str, names: list[str]) -> None:
    found, pictures = take_pictures(prompt)
    assert (found, [name for name, _ in pictures]) == (text, names)


def test_an_absolute_path_is_taken(folder: Path) -> None:
    text, ((name, data),) = take_pictures(f"what is {folder}/cat.png?")
    assert (text, name, data) == ("what is ?", f"{folder}/cat.png", PNG)


def test_a_file_that_is_no_picture_is_an_error(folder: Path) -> None:
    (folder / "no.png").write_text("text")
    with pytest.raises(CliError, match="invalid file type: text/plain; charset=utf-8"):
        take_pictures("./no.png")
    (folder / "no.png").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CliError, match="invalid file type: application/octet-stream"):
        take_pictures("./no.png")


def test_a_file_beyond_the_limit_is_an_error(folder: Path) -> None:
    with (folder / "large.png").open("wb") as file:
        file.truncate((100 << 20) + 1)
    with pytest.raises(CliError, match="file size exceeds maximum limit"):
        take_pictures("./large.png")
