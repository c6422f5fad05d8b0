"""A command as data, and how its arguments are read."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from llamawire.cli.client import Client
from llamawire.cli.connection import add_connection_flags
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = ["Command", "Parser"]

_FLAG = re.compile(r"--?[A-Za-z][\w-]*(=.*)?", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises CliError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise CliError(message)


@dataclass(frozen=True)
class Command:
    """One word after `llamawire`.

    `run` finds the words without a dash in `arguments.words` and raises CliError or grpc.RpcError.
    `add_flags` adds what begins with a dash; `bare_flags` are those whose value needs a `=`,
    with the value they have without it. A command that `is_local` calls no server; one that
    `is_raw` gets everything in `words`.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace, Client, Terminal], None]
    words: str = ""
    words_min: int = 0
    words_max: float = 0
    add_flags: Callable[[argparse.ArgumentParser], None] | None = None
    aliases: tuple[str, ...] = ()
    bare_flags: Mapping[str, str] = field(default_factory=dict)
    is_local: bool = False
    is_raw: bool = False

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Flags and words may stand in any order; after `--` all are words."""
        if self.is_raw:
            return argparse.Namespace(host=None, words=list(arguments))
        flags, words = _split(arguments)
        given = [
            f"{flag}={self.bare_flags[flag]}" if flag in self.bare_flags else flag for flag in flags
        ]
        parsed, others = self._parser().parse_known_args(given)
        for other in others:
            if _FLAG.fullmatch(other):
                raise CliError(f"unknown flag: {other.partition('=')[0]}")
        parsed.words = [_readable(word) for word in (*others, *words)]
        self._check_count(len(parsed.words))
        return parsed

    def _parser(self) -> Parser:
        usage = " ".join(("llamawire", self.name, self.words, "[flags]")).replace("  ", " ")
        parser = Parser(
            prog=f"llamawire {self.name}",
            usage=usage,
            description=f"{self.help[0].upper()}{self.help[1:]}.",
            allow_abbrev=False,
        )
        parser.set_defaults(host=None)
        if not self.is_local:
            add_connection_flags(parser)
        if self.add_flags:
            self.add_flags(parser)
        return parser

    def _check_count(self, count: int) -> None:
        if self.words_min == self.words_max != count:
            raise CliError(f"accepts {self.words_min} arg(s), received {count}")
        if count < self.words_min:
            raise CliError(f"requires at least {self.words_min} arg(s), only received {count}")
        assert self.words_max in (self.words_min, math.inf)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before `--`, and what after it."""
    given = list(arguments)
    if "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


def _readable(word: str) -> str:
    """The word as text; bytes of the command line that are no UTF-8 become U+FFFD."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
