"""The grammar of model names: `[scheme://][host/][namespace/]model[:tag]`.

The server has the last word; this is to find a bad name before gigabytes are read for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamawire.cli.errors import CliError

__all__ = ["ModelName", "check_name"]

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"

_NAME = re.compile(
    r"(?:[^/:]*://)?"
    r"(?:(?:(?P<host>[A-Za-z0-9_][\w.:-]{0,349})/)?(?P<namespace>[A-Za-z0-9_][\w-]{0,79})/)?"
    r"(?P<model>[A-Za-z0-9_][\w.-]{0,79})(?::(?P<tag>[A-Za-z0-9_][\w.-]{0,79}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class ModelName:
    """A name with the defaults filled in."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> ModelName | None:
        """None if the text is no name."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        return cls(
            match["host"] or DEFAULT_HOST,
            match["namespace"] or DEFAULT_NAMESPACE,
            match["model"],
            match["tag"] or "latest",
        )

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """Without the parts that are the defaults; the tag is always there."""
        if self.host.lower() != DEFAULT_HOST:
            return self.full
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"


def check_name(text: str) -> None:
    """Raises CliError for what is no name."""
    if ModelName.parse(text) is None:
        raise CliError(f"invalid model name: {text}")
