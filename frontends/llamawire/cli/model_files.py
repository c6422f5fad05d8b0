"""What a Modelfile's FROM and ADAPTER lines name: models, files, or folders of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llamawire.cli.errors import CliError

__all__ = ["adapter_files", "file_keys", "source_files"]

ANY = ""
TEXT, BINARY, ZIP = "text/plain", "application/octet-stream", "application/zip"
SNIFFED_BYTES = 512

# The first row that finds files is the weights: patterns, and what the files have to be.
_WEIGHTS = (
    (("model*.safetensors", "*/model*.safetensors"), ANY),
    (("consolidated*.safetensors",), ANY),
    (("pytorch_model*.bin",), ZIP),
    (("consolidated*.pth",), ZIP),
    (("*.gguf",), BINARY),
    (("*.bin",), BINARY),
)
# What comes along; a file of another kind is an error.
_COMPANIONS = (
    ("*.json", TEXT),
    ("*/*.json", TEXT),
    ("chat_template.jinja", TEXT),
)


def source_files(text: str, folder: Path) -> list[Path] | None:
    """The files of a FROM line, or None if it names a model. Raises CliError.

    What is there as a file or folder hides a model of the same name.
    """
    path = _expanded(text, folder)
    if path.exists():
        return _files(path)
    if text.startswith(("/", "./", "../", "~")):
        raise _missing(path)
    return None


def adapter_files(text: str, folder: Path) -> list[Path]:
    """The files of an ADAPTER line, which can name nothing else. Raises CliError."""
    path = _expanded(text, folder)
    if not path.exists():
        raise _missing(path)
    return _files(path)


def file_keys(paths: Sequence[Path]) -> dict[str, Path]:
    """The names to send: a single file's own, else the paths below the folder they share."""
    unique = list(dict.fromkeys(paths))
    if len(unique) <= 1:
        return {path.name: path for path in unique}
    shared = Path(os.path.commonpath([path.parent for path in unique]))
    return {path.relative_to(shared).as_posix(): path for path in unique}


def _expanded(text: str, folder: Path) -> Path:
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        user = text[1:].partition("/")[0]
        raise CliError(f"failed to find user '{user}': unknown user {user}")
    return Path(os.path.normpath(folder / expanded))


def _missing(path: Path) -> CliError:
    return CliError(f"stat {path}: no such file or directory")


def _files(path: Path) -> list[Path]:
    return _folder_files(path) if path.is_dir() else [path]


def _folder_files(folder: Path) -> list[Path]:
    weights = next(filter(None, (_weights(folder, *row) for row in _WEIGHTS)), None)
    if weights is None:
        raise CliError("no Modelfile or safetensors files found")
    found = list(weights)
    for pattern, kind in _COMPANIONS:
        found += _checked(_matches(folder, pattern), kind)
    found += _tokenizer(folder)
    for path in found:
        _check_inside(path, folder)
    return found


def _weights(folder: Path, patterns: Sequence[str], kind: str) -> list[Path]:
    found = [path for pattern in patterns for path in _matches(folder, pattern)]
    return found if all(kind in (ANY, _kind(path)) for path in found) else []


def _tokenizer(folder: Path) -> list[Path]:
    """SentencePiece's model; one level down only its text form is taken."""
    here = _checked(_matches(folder, "tokenizer.model"), BINARY)
    return here or _checked(_matches(folder, "*/tokenizer.model"), TEXT)


def _matches(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _checked(paths: list[Path], kind: str) -> list[Path]:
    for path in paths:
        if (found := _kind(path)) != kind:
            raise CliError(f"invalid content type: expected {found} for {path}")
    return paths


def _kind(path: Path) -> str:
    """Text, zip or another binary, by the first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(SNIFFED_BYTES)
    except OSError as error:
        raise CliError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    if start.startswith(b"PK\x03\x04"):
        return ZIP
    is_binary = any(byte < 0x20 and byte not in b"\t\n\x0c\r\x1b" for byte in start)
    return BINARY if is_binary else TEXT


def _check_inside(path: Path, folder: Path) -> None:
    """A folder must not smuggle in, by a link, what lies outside."""
    root, target = folder.resolve(), path.resolve()
    if target.is_relative_to(root):
        return
    relative = os.path.relpath(target, root)
    hint = ""
    if ".cache" in str(target):
        hint = "\nUse --local-dir <dir> when downloading model to disable caching"
    raise CliError(f"insecure path: {relative}{hint}")
