"""Names of models: `[scheme://][host/][namespace/]model[:tag]`.

A name is read from right to left, so that `ns/m` is a namespace and a model and never a host.
The four parts that remain are also the four folders of its manifest, which is why the grammar
lets no part begin with a dot: a valid name cannot leave the folder of the manifests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llamawire.engine.store.errors import InvalidName

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_NAMESPACE",
    "DEFAULT_TAG",
    "ModelName",
    "SourceName",
    "parse_source",
]

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
DEFAULT_SCHEME = "https"

HOST_LENGTH_MAX = 350
PART_LENGTH_MAX = 80
RAW_LENGTH_MAX = 1024

# Stands for a part that a separator promised and the text did not give. It is never valid.
_MISSING = "!"

_HOST = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.:-]{{0,{HOST_LENGTH_MAX - 1}}}")
_NAMESPACE = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_-]{{0,{PART_LENGTH_MAX - 1}}}")
_MODEL = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{PART_LENGTH_MAX - 1}}}")
_TAG = _MODEL


@dataclass(frozen=True, order=True)
class ModelName:
    """A full name. `parse` gives valid ones only; the constructor checks nothing."""

    host: str
    namespace: str
    model: str
    tag: str
    scheme: str = DEFAULT_SCHEME

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """The name that `text` stands for, with the defaults filled in.

        Raises InvalidName if any part is missing or breaks the grammar.
        """
        name = _split(text) if len(text) <= RAW_LENGTH_MAX else None
        if name is None or not name.is_valid:
            raise InvalidName(text)
        return name

    @classmethod
    def from_path(cls, path: Path) -> ModelName:
        """The name of a manifest from its path below the folder of the manifests.

        Raises InvalidName unless the path has four parts and each is valid.
        """
        parts = path.parts
        name = cls(*parts) if len(parts) == 4 else None
        if name is None or not name.is_valid:
            raise InvalidName(str(path))
        return name

    @property
    def is_valid(self) -> bool:
        return bool(
            _HOST.fullmatch(self.host)
            and _NAMESPACE.fullmatch(self.namespace)
            and _MODEL.fullmatch(self.model)
            and _TAG.fullmatch(self.tag)
        )

    @property
    def display(self) -> str:
        """The shortest form; it always has the tag and never the scheme."""
        short = f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{short}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{short}"
        return short

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def parts(self) -> tuple[str, str, str, str]:
        return (self.host, self.namespace, self.model, self.tag)

    @property
    def folded(self) -> tuple[str, str, str, str]:
        """The parts in lower case: two names are one model if these are equal."""
        host, namespace, model, tag = self.parts
        return (host.lower(), namespace.lower(), model.lower(), tag.lower())

    @property
    def path(self) -> Path:
        """Where its manifest lies, below the folder of the manifests."""
        return Path(*self.parts)

    def __str__(self) -> str:
        return self.display


def _split(text: str) -> ModelName:
    rest, tag = text, DEFAULT_TAG
    if rest.rfind(":") > rest.rfind("/"):
        rest, tag = _cut_last(rest, ":")
    if "/" not in rest:
        return ModelName(DEFAULT_HOST, DEFAULT_NAMESPACE, rest, tag)
    rest, model = _cut_last(rest, "/")
    if "/" not in rest:
        return ModelName(DEFAULT_HOST, rest, model, tag)
    rest, namespace = _cut_last(rest, "/")
    scheme, separator, host = rest.partition("://")
    if not separator:
        return ModelName(rest, namespace, model, tag)
    return ModelName(host or _MISSING, namespace, model, tag, scheme)


def _cut_last(text: str, separator: str) -> tuple[str, str]:
    before, _, after = text.rpartition(separator)
    return before or _MISSING, after or _MISSING


@dataclass(frozen=True)
class SourceName:
    """A name as a request gives it, with what its ending says about where to run it.

    `source` is "cloud", "local" or "" where the text does not say.
    """

    base: str
    source: str = ""

    @property
    def stored(self) -> str:
        """The name under which pull and delete know it: cloud stubs keep their mark in the tag."""
        if self.source != "cloud":
            return self.base
        has_tag = self.base.rfind(":") > self.base.rfind("/")
        return f"{self.base}-cloud" if has_tag else f"{self.base}:cloud"


def parse_source(text: str) -> SourceName:
    """Takes `:cloud`, `:local` or `-cloud` off the end of a name.

    The base is not checked otherwise. Raises InvalidName if there are two such endings.
    """
    text = text.strip()
    name = _cut_source(text)
    if name.source and _cut_source(name.base).source:
        raise InvalidName(text, f"use either :local or :cloud, not both: {_quote(text)}")
    return name


def _cut_source(text: str) -> SourceName:
    before, separator, ending = text.rpartition(":")
    if not separator:
        return SourceName(text)
    if ending.lower() in ("cloud", "local"):
        return SourceName(before, ending.lower())
    if ending.lower().endswith("-cloud") and "/" not in ending:
        return SourceName(text[: -len("-cloud")], "cloud")
    return SourceName(text)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
