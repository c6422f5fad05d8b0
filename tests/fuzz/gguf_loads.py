"""Models whose files lie, loaded as a worker loads them: whatever the validator lets through must
not end the process.

Each case is a model, a projector or an adapter with a few keys, tensors or bytes changed. What the
store lets through is loaded, and made to say a little, by a child of a process that has
imported llama.cpp, in the worker's sandbox and with a limit of memory and time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzz.gguf_mutations import write_liar
from fuzz.libfuzzer import Result
from gguf_files import tiny_llama
from llamawire.engine.store import InvalidGguf, check_adapter_suits, read_gguf, validate_gguf

__all__ = ["Loader", "load_ggufs"]

LOAD_TIMEOUT_S = 60.0
FINDINGS_MAX = 20


class Loader:
    """The process that has imported llama.cpp; a child of it loads."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.base = tiny_llama(Path(self._folder.name, "base"))
        """The model that projectors and adapters are loaded beside."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.loading"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def load(self, path: Path, role: str = "model") -> dict[str, Any]:
        """`end`: loaded, refused, or how the child died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        files = {"model": str(self.base), role: str(path)}
        self._process.stdin.write(json.dumps(files) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], 2 * LOAD_TIMEOUT_S)[0]:
            raise RuntimeError("the loading process does not answer")
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


def check(path: Path, role: str, base: Path) -> None:
    """What the store asks of a file before a worker sees it."""
    gguf = validate_gguf(path, role)
    if role == "adapter":
        check_adapter_suits(gguf, read_gguf(base))


def load_ggufs(folder: Path, seconds: float) -> Result:
    """Until the time is over or there are enough findings. Each file that ended a process is kept,
    and what its last words were."""
    seed = int(os.environ.get("LLAMAWIRE_FUZZ_SEED", time.time_ns() & 0xFFFF_FFFF))
    draw = random.Random(seed)
    result = Result("gguf_loads")
    ends: dict[str, int] = {}
    reasons: set[str] = set()
    started = time.monotonic()
    path = folder / "gguf_loads.gguf"
    with contextlib.closing(Loader()) as loader:
        while time.monotonic() - started < seconds and len(result.findings) < FINDINGS_MAX:
            role = write_liar(draw, path)
            result.runs += 1
            try:
                check(path, role, loader.base)
            except InvalidGguf:
                ends["invalid"] = ends.get("invalid", 0) + 1
                continue
            answer = loader.load(path, role)
            ends[answer["end"]] = ends.get(answer["end"], 0) + 1
            if answer["end"] in ("loaded", "refused") or answer["said"] in reasons:
                continue
            reasons.add(answer["said"])
            kept = folder / f"gguf_loads-{seed}-{len(result.findings)}-{role}.gguf"
            path.rename(kept)
            result.findings.append(f"{kept.name}: {answer['end']}: {answer['said']}")
    result.seconds = time.monotonic() - started
    result.note = f"seed {seed}; " + ", ".join(f"{k} {v:,}" for k, v in sorted(ends.items()))
    return result
