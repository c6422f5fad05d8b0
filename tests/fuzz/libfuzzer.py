"""Runs a program that libFuzzer drives, csrc's targets and atheris's alike, until it is time."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FLAT_S", "Result", "fuzz"]

FLAT_S = 600.0
"""A target whose coverage has not grown for so long is done."""
INPUT_TIMEOUT_S = 30
MEMORY_MIB = 2560
INPUT_BYTES_MAX = 8192

_STATUS = re.compile(rb"^#(\d+)\s+[A-Za-z-]+\s+cov: (\d+) ")
_RUNS = re.compile(rb"^stat::number_of_executed_units:\s*(\d+)")


@dataclass
class Result:
    """What came of a target; `coverage` is in edges of the code, None where none is measured."""

    target: str
    runs: int = 0
    coverage: int | None = None
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    note: str = ""


def fuzz(
    target: str,
    command: Sequence[str],
    folder: Path,
    seconds: float,
    *,
    seeds: Sequence[bytes] = (),
    words: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> Result:
    """For so many seconds, or until it is flat or something is found. New inputs are kept in
    `folder`/TARGET, findings beside it; the next run begins with both."""
    corpus = folder / target
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds):
        (corpus / f"seed-{index}").write_bytes(seed)
    options = [f"-timeout={INPUT_TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MIB}",
               f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={folder / target}-",
               "-print_final_stats=1"]  # fmt: skip
    if words:
        (folder / f"{target}.dict").write_text("".join(map(entry, words)))
        options.append(f"-dict={folder / target}.dict")
    result = Result(target)
    until = time.monotonic() + seconds
    while not result.findings and time.monotonic() < until - 1 and not result.note:
        before = set(folder.glob(f"{target}-*"))
        log = folder / f"{target}.log"
        watch([*command, *options, str(corpus)], log, until, environment, result)
        for found in sorted(set(folder.glob(f"{target}-*")) - before):
            # What only took long because the machine was busy passes when it is tried again.
            again = subprocess.run([*command, *options[:2], str(found)], capture_output=True,
                                   env=environment, check=False)  # fmt: skip
            if again.returncode:
                result.findings.append(found.name)
            else:
                found.unlink()
    return result


def watch(
    command: Sequence[str],
    log: Path,
    until: float,
    environment: dict[str, str] | None,
    result: Result,
) -> None:
    """One process: its output goes to the log, its counts to the result."""
    started = grown = time.monotonic()
    runs = 0
    command = [command[0], *command[1:], f"-max_total_time={max(1, int(until - started))}"]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         env=environment) as process,
    ):  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            file.write(line)
            if status := _STATUS.match(line) or _RUNS.match(line):
                runs = max(runs, int(status[1]))
            now = time.monotonic()
            if status and status.re is _STATUS and int(status[2]) > (result.coverage or 0):
                result.coverage, grown = int(status[2]), now
            if now - grown > FLAT_S and not result.note:
                result.note = f"flat for {FLAT_S / 60:.0f} min"
                process.terminate()
    result.runs += runs
    result.seconds += time.monotonic() - started
    if not runs and process.returncode:
        result.note = f"did not run, see {log}"


def entry(word: str) -> str:
    """A line of libFuzzer's dictionary."""
    safe = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02X}"
        for byte in word.encode()
    )
    return f'"{safe}"\n'
