"""Where a command reads and writes."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

__all__ = ["Terminal"]


@dataclass(frozen=True)
class Terminal:
    """Results go to `stdout`, everything else to `stderr`; no command uses `sys` itself."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @classmethod
    def of_process(cls) -> Terminal:
        """That of this process. Piped text is read as it is, whatever is in it."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="")
        return cls(sys.stdin or io.StringIO(), sys.stdout, sys.stderr)

    @property
    def is_interactive(self) -> bool:
        return self.stdin.isatty() and self.stdout.isatty()

    @property
    def columns(self) -> int:
        return shutil.get_terminal_size().columns

    def print(self, text: str = "", end: str = "\n") -> None:
        """Writes a result, at once."""
        self.stdout.write(text + end)
        self.stdout.flush()

    def note(self, text: str) -> None:
        """Writes a line that is no result."""
        self.stderr.write(text + "\n")
        self.stderr.flush()

    def is_set(self, name: str) -> bool:
        """Whether LLAMAWIRE_`name` or OLLAMA_`name` is switched on."""
        text = self.environ.get(f"LLAMAWIRE_{name}") or self.environ.get(f"OLLAMA_{name}") or ""
        return text.strip().strip("\"'") not in ("", "0", "f", "F", "false", "FALSE", "False")
