"""The source suffixes of model names: `:cloud` models live elsewhere, `:local` is the default."""

from __future__ import annotations

from .errors import RestError
from .gotext import quote

__all__ = ["check_suffixes", "local_name"]


def local_name(sent: str, refusal: str = "remote model is unavailable") -> str:
    """The name to look up. Raises RestError for a model of Ollama's hosted service."""
    name, source = check_suffixes(sent)
    if source == "cloud":
        raise RestError(403, f"ollama cloud is disabled: {refusal}")
    return name


def check_suffixes(sent: str) -> tuple[str, str]:
    """The name without its source suffix, and that: `cloud`, `local` or empty.

    Raises RestError if there are two.
    """
    name, source = _split(sent.strip())
    if source and _split(name)[1]:
        raise RestError(400, f"use either :local or :cloud, not both: {quote(sent.strip())}")
    return name, source


def _split(name: str) -> tuple[str, str]:
    base, colon, last = name.rpartition(":")
    word = last.lower()
    if colon and word in ("cloud", "local"):
        return base, word
    if colon and word.endswith("-cloud") and "/" not in word:
        return f"{base}:{last[: -len('-cloud')]}", "cloud"
    return name, ""
