"""Fuzzes everything, one target after the other: `python -m fuzz --minutes 10 [--only TARGET]`.

Prints a table; ends with 1 if something was found. Inputs and findings are kept in build/fuzz.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fuzz.csrc_targets import RUN, SEEDS, WORDS, csrc_targets
from fuzz.gguf_loads import load_ggufs
from fuzz.libfuzzer import Result, fuzz
from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
REQUESTS = 20_000

Run = Callable[[float], Result]


def python_target(name: str, folder: Path, seconds: float) -> Result:
    target = TARGETS[name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "fuzz.under_atheris", name]
    return fuzz(name, command, folder, seconds, seeds=target.seeds(),
                words=target.words.split(), environment=environment)  # fmt: skip


def csrc_target(name: str, folder: Path, seconds: float) -> Result:
    return fuzz(name, [str(RUN), name], folder, seconds,
                seeds=SEEDS.get(name, []), words=WORDS.get(name, []))  # fmt: skip


def requests(folder: Path, _seconds: float) -> Result:
    """So many requests to a real server, over REST and gRPC, however long they take."""
    count = int(os.environ.get("LLAMAWIRE_FUZZ", REQUESTS))
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(ROOT / "tests/e2e/test_fuzz.py")],
        cwd=ROOT, env=os.environ | {"LLAMAWIRE_FUZZ": str(count)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    (folder / "requests.log").write_text(run.stdout)
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\S+)", run.stdout, re.MULTILINE)
    passed = re.search(r"(\d+) passed", run.stdout)
    runs = (int(passed[1]) if passed else 0) * count
    return Result("requests", runs, None, time.monotonic() - started, failed)


def all_targets(folder: Path) -> tuple[dict[str, Run], list[str]]:
    """Each by its name, and sentences about those that cannot run here."""
    csrc, missing = csrc_targets()
    skipped = [missing] if missing else []
    targets: dict[str, Run] = {name: partial(csrc_target, name, folder) for name in csrc}
    if importlib.util.find_spec("atheris"):
        targets |= {name: partial(python_target, name, folder) for name in TARGETS}
    else:
        skipped.append("the Python targets: skipped, atheris is missing (pip install --group fuzz)")
    targets["gguf_loads"] = partial(load_ggufs, folder)
    targets["requests"] = partial(requests, folder)
    return targets, skipped


def row(result: Result) -> str:
    coverage = "" if result.coverage is None else f"{result.coverage:,}"
    found = ", ".join(result.findings) or "none"
    note = f" ({result.note})" if result.note else ""
    minutes = f"{result.seconds / 60:.1f}"
    return f"| {result.target} | {result.runs:,} | {coverage} | {minutes} | {found}{note} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--minutes", type=float, default=30.0, help="most for one target")
    parser.add_argument("--only", default="", help="targets, with commas between them")
    arguments = parser.parse_args()
    folder = ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    targets, skipped = all_targets(folder)
    chosen = arguments.only.split(",") if arguments.only else list(targets)
    if unknown := [name for name in chosen if name not in targets]:
        print(*skipped, sep="\n")
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(targets)}")
    print("| target | runs | coverage | minutes | findings |\n|---|---|---|---|---|", flush=True)
    has_findings = False
    for name in chosen:
        result = targets[name](arguments.minutes * 60)
        print(row(result), flush=True)
        has_findings = has_findings or bool(result.findings)
    print(*skipped, sep="\n")
    return 1 if has_findings else 0


if __name__ == "__main__":
    sys.exit(main())
