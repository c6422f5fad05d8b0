"""Quantization in a process of its own, which can be watched and ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from llamawire.engine.sandbox import Sandbox, worker_environment
from llamawire.engine.store import CreateError

__all__ = ["quantize"]

TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\]")


def quantize(source: Path, target: Path, type_: str, *, sandbox: Sandbox) -> Iterator[float]:
    """Writes `target`; yields the share that is done, tensor by tensor.

    Leaving the iterator ends the process, and so does the end of this one, which holds the other
    end of its standard input. CreateError has llama.cpp's reason.
    """
    target.touch()
    module = "llamawire.worker.quantize"
    command = [sys.executable, "-m", module, str(source), str(target), type_, *sandbox.arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=worker_environment(os.environ),
    ) as process:
        assert process.stderr is not None
        last = ""
        try:
            for raw in process.stderr:
                last = raw.decode(errors="replace").strip() or last
                if found := TENSOR.search(last):
                    yield int(found[1]) / int(found[2])
            process.wait()
        finally:
            process.kill()
    if process.returncode != 0:
        raise CreateError(f"quantization failed: {last}", "INTERNAL", "CREATE_FAILED")
