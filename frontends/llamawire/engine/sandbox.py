"""What the daemon tells its workers about their sandbox, and keeps from them.

The sandbox itself is the worker's: `llamawire.worker.sandbox`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SANDBOX_MODES", "Sandbox", "worker_environment"]

SANDBOX_MODES = ("auto", "require", "off")

_OURS = re.compile(r"(LLAMAWIRE|OLLAMA)_(?!NATIVE_LOG$)")
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)$", re.IGNORECASE)


@dataclass(frozen=True)
class Sandbox:
    """`mode` is one of SANDBOX_MODES; `memory_bytes` of 0 leaves the choice to the machine."""

    mode: str = "auto"
    memory_bytes: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        """For a worker's command line."""
        memory_bytes = self.memory_bytes or machine_memory_bytes()
        return ("--sandbox", self.mode, "--memory-bytes", str(memory_bytes))


def machine_memory_bytes() -> int:
    """All there is; 0, for no bound, where it is not known or a GPU's driver may want more
    addresses than there is memory."""
    if any(Path("/dev").glob("nvidia*")) or Path("/dev/kfd").exists():
        return 0
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The daemon's own, without its settings and whatever is named as a secret."""
    return {
        name: value
        for name, value in environ.items()
        if not _OURS.match(name) and not _SECRET.search(name)
    }
