"""An API key: what the file keeps of it, and what it may do.

A key is `lw_ID_SECRET`. The secret is 256 random bits, so a plain SHA-256 of the key cannot be
turned round by guessing and needs no slow hash; the ID finds the entry without comparing secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from llamawire.engine.store import ModelName, StoreError

__all__ = ["ADMIN", "GENERATE", "METRICS", "MODELS", "SCOPES", "Key", "key_id", "new_key"]

GENERATE = "generate"
"""Ask models and embed, list and show them, load one."""
MODELS = "models"
"""Make, pull, push, copy, delete, load and unload models, list and show them."""
METRICS = "metrics"
"""Read the metrics, and nothing else: for Prometheus."""
ADMIN = "admin"
"""Everything, whatever may be added later too."""
SCOPES = (GENERATE, MODELS, METRICS, ADMIN)

NAME_LENGTH_MAX = 80

_KEY = re.compile(r"lw_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An entry of the key file."""

    id: str
    """The part of the key that is no secret."""
    name: str
    """Whose it is, or what for; told to the caller and in the log."""
    sha256: str
    """Of the whole key, as hex digits."""
    scopes: tuple[str, ...]
    models: tuple[str, ...] = ()
    """Names of models, `*` for any text; empty allows all."""
    requests_per_minute: int = 0
    """0 for no limit."""
    tokens_per_day: int = 0
    """Prompts and answers together; 0 for no limit."""
    created: str = ""

    @property
    def mistake(self) -> str | None:
        """What cannot be, if anything, as the end of a sentence."""
        if not re.fullmatch(r"[a-z0-9]{8}", self.id):
            return "id is not 8 letters and digits"
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            return "sha256 is not 64 hex digits"
        if not 0 < len(self.name) <= NAME_LENGTH_MAX or not self.name.isprintable():
            return f"name is not a line of 1 to {NAME_LENGTH_MAX} characters"
        if not self.scopes or not set(self.scopes) <= set(SCOPES):
            return f"scopes are not some of {', '.join(SCOPES)}"
        if self.requests_per_minute < 0 or self.tokens_per_day < 0:
            return "a limit is below 0"
        return None

    def is_for(self, text: str) -> bool:
        """Whether this is the entry of the key; takes as long for a wrong one as for the right."""
        return hmac.compare_digest(_digest(text), self.sha256)

    def has_scope(self, scope: str) -> bool:
        return scope in self.scopes or ADMIN in self.scopes

    def allows_model(self, text: str) -> bool:
        """Whether the key may use the model with this name. What is no name is allowed to nobody
        with a list."""
        if not self.models:
            return True
        try:
            name = ModelName.parse(text.strip()).display.lower()
        except StoreError:
            return False
        return any(fnmatchcase(name, _pattern(pattern)) for pattern in self.models)


def _pattern(text: str) -> str:
    """A name without `*` is completed as everywhere: `tiny` is `tiny:latest`."""
    if "*" not in text:
        try:
            text = ModelName.parse(text).display
        except StoreError:
            return text.lower()
    # Brackets and question marks have no meaning here.
    return re.sub(r"([\[?])", r"[\1]", text.lower())


def new_key(
    name: str,
    scopes: Sequence[str],
    *,
    models: Sequence[str] = (),
    requests_per_minute: int = 0,
    tokens_per_day: int = 0,
    created: str = "",
) -> tuple[str, Key]:
    """A key and its entry. The key is not kept anywhere: whoever asked has to."""
    id_ = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    text = f"lw_{id_}_{secrets.token_urlsafe(32)}"
    key = Key(
        id=id_,
        name=name,
        sha256=_digest(text),
        scopes=tuple(scopes),
        models=tuple(models),
        requests_per_minute=requests_per_minute,
        tokens_per_day=tokens_per_day,
        created=created,
    )
    return text, key


def key_id(text: str) -> str | None:
    """The ID within a key; None for what is no key."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
