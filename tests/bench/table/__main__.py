"""`make bench`: runs the rows, keeps what each gave, and writes docs/benchmarks.md of all of them.

    python -m bench.table [--only ROW[,ROW]] [--gpu] [--minutes N] [--page-only]

A row's result stays in build/bench until the row is run again, so the table can be made in parts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.table.page import write_page
from bench.table.rows import ROWS, Row
from bench.table.servers import (
    PEER,
    ROOT,
    batched_step_ms,
    bench_rate,
    daemon,
    llama_server,
)

FOLDER = ROOT / "build" / "bench"
MINUTES = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="names of rows, with commas between them")
    parser.add_argument("--gpu", action="store_true", help="the rows that want a GPU, only them")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no row begins later")
    parser.add_argument("--page-only", action="store_true", help="only write the page again")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name]
    if not names:
        names = [row.name for row in ROWS if row.gpu == arguments.gpu]
    if unknown := set(names) - {row.name for row in ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; "
                     f"there are {', '.join(row.name for row in ROWS)}")  # fmt: skip
    failures = 0
    if not arguments.page_only:
        if not (PEER / "llama-server").exists():
            parser.error("build/peer has no llama-server; 'make peer' builds it")
        failures = run_rows(names, time.monotonic() + arguments.minutes * 60)
    write_page(ROOT / "docs" / "benchmarks.md", results())
    return 1 if failures else 0


def run_rows(names: list[str], deadline: float) -> int:
    """How many rows failed or had no time."""
    failures = 0
    for row in ROWS:
        if row.name not in names:
            continue
        if time.monotonic() > deadline:
            print(f"{row.name}: no time is left; what an earlier run gave stays", flush=True)
            failures += 1
            continue
        print(f"== {row.name}", flush=True)
        try:
            found = run_row(row)
        except (subprocess.SubprocessError, SystemExit) as error:
            print(f"{row.name}: {error}", flush=True)
            failures += 1
            continue
        result_path(row).parent.mkdir(parents=True, exist_ok=True)
        result_path(row).write_text(json.dumps(found) + "\n")
    return failures


def run_row(row: Row) -> dict[str, Any]:
    """Starts the servers, runs `llamawire bench`, and gives what its JSON says."""
    model = make_model(row.shape)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(daemon(folder, model, row.places))
        targets = {"llamawire": f"ollama:{ours.url}"}
        for name, setting in row.others:
            (folder / name).mkdir()
            other = stack.enter_context(daemon(folder / name, model, row.places, setting))
            targets[name] = f"ollama:{other.url}"
        for name, flags in row.peers:
            port = stack.enter_context(llama_server(folder, model, row.places, flags))
            targets[name.replace(" ", "_")] = f"openai:http://127.0.0.1:{port}"
        file = folder / "result.json"
        words = [word for name, address in targets.items()
                 for word in ("--target", f"{name}={address}")]  # fmt: skip
        command = [
            sys.executable, "-m", "llamawire.cli", "bench", *words, "m", row.scenario,
            "--rounds", str(row.rounds), "--tokens", str(row.tokens),
            "--streams", str(row.places.streams), "--limit", str(row.limit_s), "--json", str(file),
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=row.limit_s * 3 + 120)
        found: dict[str, Any] = json.loads(file.read_text())
    for scenario in found["scenarios"]:
        del scenario["exchanges"]  # megabytes that the page does not need
    if row.reference == "llama-batched-bench":
        found["reference"] = batched_step_ms(model, row.tokens, row.places)
    elif row.reference:
        found["reference"] = bench_rate(model, row.tokens)
    found["commit"] = commit()
    return found


def make_model(shape: str) -> Path:
    path = FOLDER / f"{shape}.gguf"
    if not path.exists():
        print(f"writing {path.name}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        command = [sys.executable, "-m", "llamawire.cli", "bench", "--make-model", shape, str(part)]
        subprocess.run(command, check=True)
        part.rename(path)
    return path


def commit() -> str:
    """The commit that was measured, with a `+` if the tree had changes."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "--untracked-files=no", "--", ".",
                              ":!docs"], capture_output=True, text=True)  # fmt: skip
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def result_path(row: Row) -> Path:
    return FOLDER / "results" / f"{row.name}.json"


def results() -> dict[str, dict[str, Any]]:
    """By row's name, of those that have been run."""
    return {
        row.name: json.loads(result_path(row).read_text())
        for row in ROWS
        if result_path(row).exists()
    }


if __name__ == "__main__":
    sys.exit(main())
