"""What a model is to be made of, and what can be said against it before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llamawire.engine.store.errors import CreateError, InvalidDigest
from llamawire.engine.store.message import Message

__all__ = [
    "CreateRequest",
    "Progress",
    "check_request",
    "check_supported",
    "is_clean_path",
    "unsupported",
]


@dataclass(frozen=True)
class Progress:
    """A line about the work. `digest`, `total` and `completed` belong to blobs on their way."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


@dataclass(frozen=True)
class CreateRequest:
    """What a model is to be made of. What is empty is left to the base or left out."""

    model: str
    base: str = ""  # The field `from`: a model. With it, `files` is ignored.
    files: Mapping[str, str] | None = None  # Path to digest of what was uploaded.
    adapters: Mapping[str, str] = field(default_factory=dict)
    template: str = ""
    system: str = ""
    licenses: tuple[str, ...] = ()  # Added to those of the base.
    parameters: Mapping[str, object] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    info: Mapping[str, object] = field(default_factory=dict)
    quantize: str = ""
    draft_files: Mapping[str, str] = field(default_factory=dict)
    draft_quantize: str = ""
    remote_host: str = ""


def check_request(request: CreateRequest) -> None:
    """Raises CreateError or InvalidDigest for what needs no look at the store."""
    for files in (request.files or {}, request.draft_files):
        _check_paths(files)
        _check_digests(files.values())
    if request.draft_quantize and not request.draft_files:
        raise CreateError("--draft-quantize requires a DRAFT model")
    _check_digests(request.adapters.values())


def check_supported(request: CreateRequest) -> None:
    """Raises CreateError for what the format has and we do not do yet."""
    if request.remote_host:
        raise unsupported("remote models are not supported yet")
    if request.draft_files:
        raise unsupported("draft models are not supported yet")


def is_clean_path(path: str) -> bool:
    """Whether this is a relative path without anything odd in it."""
    return all(part not in ("", ".", "..") and "\0" not in part for part in path.split("/"))


def _check_paths(paths: Iterable[str]) -> None:
    if not all(is_clean_path(path) for path in paths):
        raise CreateError("file path must be relative")


def _check_digests(digests: Iterable[str]) -> None:
    if not all(digests):
        raise InvalidDigest("")


def unsupported(text: str) -> CreateError:
    return CreateError(text, "UNIMPLEMENTED", "NOT_IMPLEMENTED")
