"""A Modelfile as data: its commands in order, and what they add up to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamawire.modelfile.errors import ModelfileError
from llamawire.modelfile.parameters import Parameters, read_parameters

__all__ = ["KEYWORDS", "ROLES", "Command", "Modelfile"]

KEYWORDS = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")

_VERSION = re.compile(
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)(\.(0|[1-9]\d*)"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Command:
    """One instruction. `argument` is a parameter's name or a message's role, else empty."""

    keyword: str
    value: str
    argument: str = ""

    def __str__(self) -> str:
        """The line that says this, without its newline; `parse` reads it back."""
        words = [self.keyword.upper(), self.argument, self.value]
        if self.keyword != "from":
            words[2] = quote(self.value)
        return " ".join(word for index, word in enumerate(words) if word or index == 2)


@dataclass(frozen=True)
class Modelfile:
    """The commands in the order of the file."""

    commands: tuple[Command, ...]

    def values(self, keyword: str) -> tuple[str, ...]:
        return tuple(item.value for item in self.commands if item.keyword == keyword)

    def last(self, keyword: str) -> str:
        """The value that counts where there can be one; empty if there is none."""
        values = self.values(keyword)
        return values[-1] if values else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """What the FROM lines name: models or paths."""
        return self.values("from")

    @property
    def template(self) -> str:
        return self.last("template")

    @property
    def system(self) -> str:
        return self.last("system")

    @property
    def licenses(self) -> tuple[str, ...]:
        return self.values("license")

    @property
    def adapters(self) -> tuple[str, ...]:
        """The ADAPTER path that counts, the last one, or nothing."""
        return self.values("adapter")[-1:]

    @property
    def drafts(self) -> tuple[str, ...]:
        return self.values("draft")

    @property
    def renderer(self) -> str:
        return self.last("renderer")

    @property
    def parser(self) -> str:
        return self.last("parser")

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Role and content of each MESSAGE."""
        found = (item for item in self.commands if item.keyword == "message")
        return tuple((item.argument, item.value) for item in found)

    @property
    def requires(self) -> str:
        """The version asked for, without its `v`. Raises ModelfileError if it is none."""
        version = self.last("requires").removeprefix("v")
        if version and not _VERSION.fullmatch(version):
            raise ModelfileError("requires must be a valid semver (e.g. 0.14.0)")
        return version

    def parameters(self) -> Parameters:
        """The PARAMETER lines with their types. Raises ModelfileError."""
        found = (item for item in self.commands if item.keyword == "parameter")
        return read_parameters((item.argument, item.value) for item in found)

    def __str__(self) -> str:
        """The text of the file, a line a command."""
        return "".join(f"{command}\n" for command in self.commands)


def quote(value: str) -> str:
    """A value as it must be written to be read back: in quotes only where it needs them."""
    if "\n" not in value and not value.startswith(" ") and not value.endswith(" "):
        return value
    return f'"""{value}"""' if '"' in value else f'"{value}"'
