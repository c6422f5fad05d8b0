"""The machine of a measurement, and how busy others keep it."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

__all__ = ["busy_share", "describe", "load_average"]

BUSY_WARNING = 0.10
"""Share of the CPUs used by others above which numbers are not to be trusted."""

_STAT, _CPUINFO = Path("/proc/stat"), Path("/proc/cpuinfo")


def describe() -> dict[str, str]:
    """What a number without it means little."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": ", ".join(
            [
                _processor(),
                f"{os.cpu_count()} CPUs",
                *_gpus(),
                f"{platform.system()} {platform.release()}",
            ]
        ),
        "llamawire": importlib.metadata.version("llamawire"),
        "python": platform.python_version(),
    }


def load_average() -> float:
    """Of the last minute; 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def busy_share(interval_s: float = 0.5) -> float | None:
    """The share of all CPUs that is used during a pause of ours; None where it is not told.
    Blocks for `interval_s`."""
    if not _STAT.exists():
        return None
    before = _cpu_times()
    time.sleep(interval_s)
    after = _cpu_times()
    total = sum(after) - sum(before)
    idle = (after[3] + after[4]) - (before[3] + before[4])
    return 1 - idle / total if total else 0.0


def _cpu_times() -> list[int]:
    return [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """NVIDIA's, by its driver's own tool where that is installed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [" with driver ".join(part.strip() for part in line.split(",")) for line in lines]
