"""docs/benchmarks.md, written from the rows' results."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.table.rows import ROWS, Line, Row
from bench.table.servers import batched_command, bench_command, peer_command

__all__ = ["write_page"]

HEAD = """\
# Benchmarks

`make bench` writes this page: it builds llama.cpp's own programs from the pin (`make peer`, the
same commit and flags), makes the models, runs every row and keeps what it gave; `make bench
ONLY=streams` runs one row again. The models have random weights, never end an answer early, and are
the same everywhere (`llamawire bench --make-model`). All talk is HTTP: llamawire answers as Ollama
does, llama-server as OpenAI does. The servers take turns within each round; a ratio is the mean
over the rounds with its 95 % interval in brackets. Tokens are those that the servers count.

Ollama's column is quoted from an earlier measurement on another machine of two cores; it could not
be had here. "reached" goes by the middle of the ratio or of the times, not by the interval's end.
"""

COMMANDS_HEAD = """\
Commands, with the row's model created as `m` in our daemon, and the ports of that run:
"""

GPU_HEAD = """\
## With a GPU

`make bench GPU=1` on a machine with one, after `LLAMAWIRE_CUDA=1 make install peer`. All layers are
on the GPU; llama-server runs with its sampling on the CPU and, as `-bs`, on the GPU. The rows of
2026-11-26 ran with `LLAMAWIRE_SANDBOX=off`, which security.md explains; for the third there was no
time left on the machine.
"""

OTHERS = """\
## By other commands

Measured on the first machine above on 2026-11-26, nothing else running for the first, a soak and a
build beside the second.

* `python tests/bench/pull.py 1024 3`: a pull of 1 GiB from docker-registry over loopback, with
  SHA-256 and fsync, runs at 654 MiB/s, 0.83 of `curl -o FILE` (785).
* `python tests/bench/structured.py`: 8 streams with 8 schemas and a vocabulary of 128,256 tokens.
  With logits as flat as random ones they run at 0.97 of the same streams without (703 and 728
  tok/s), and the first token comes 3.7 ms later. With logits so peaked that most of the likely
  tokens are refused it is 0.71 (520 and 732), 0.56 ms a token.
"""

LAYERS = Path(__file__).with_name("layers.md")
"""What `llamawire bench --layers` gave, and what is to be said of it."""


def write_page(path: Path, results: dict[str, dict[str, Any]]) -> None:
    parts = [HEAD]
    for head, gpu in (("", False), (GPU_HEAD, True)):
        rows = [row for row in ROWS if row.gpu == gpu]
        found = {row.name: results[row.name] for row in rows if row.name in results}
        parts += [head, machine_part(found), table_part(rows, found), commands_part(rows, found)]
    path.write_text("\n".join(part for part in [*parts, OTHERS, LAYERS.read_text()] if part))


def machine_part(results: dict[str, dict[str, Any]]) -> str:
    """The machines, and a warning where one was busy."""
    machines = sorted({one["machine"]["machine"] for one in results.values()})
    lines = [f"Machine: {machine}." for machine in machines]
    busy = [
        f"{name} ({scenario['busy_share']:.0%})"
        for name, one in results.items()
        for scenario in one["scenarios"]
        if (scenario["busy_share"] or 0) > 0.1
    ]
    if busy:
        lines.append(
            "\n**The machine was busy with other work** when these rows began (share of its CPUs "
            f"in use): {', '.join(busy)}. Trust their ratios more than their numbers."
        )
    return "\n".join(lines) + "\n" if lines else ""


def table_part(rows: Sequence[Row], results: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| scenario | llamawire | llama-server | ratio | aim | | Ollama | date, commit, load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for line in row.lines:
            if row.name in results:
                lines += line_cells(row, line, results[row.name])
            else:
                lines.append(f"| {line.title} | not run | | | {line.aim} | | {line.ollama} | |")
    return "\n".join(lines) + "\n"


def line_cells(row: Row, line: Line, result: dict[str, Any]) -> list[str]:
    """A line for the plain rival, and one for each other."""
    scenario = result["scenarios"][0]
    if "llamawire" in scenario["failures"]:
        return [f"| {line.title} | failed: {scenario['failures']['llamawire']} | | | | | | |"]
    values = scenario["values"]
    ours = middle(values["llamawire"][line.metric])
    when = f"{result['machine']['date']}, {result['commit']}, {scenario['load_average']:.1f}"
    rivals = rivals_of(row, scenario, line, result)
    cells = []
    for index, (name, theirs, ratio) in enumerate(rivals or [("", math.nan, None)]):
        title = line.title if index == 0 else f"… against {name.replace('_', ' ')}"
        verdict = reached(line, ours, ratio[0] if ratio else math.nan) if index == 0 else ""
        cells.append(
            f"| {title} | {number(ours)} | {number(theirs)} | {ratio_text(ratio)} "
            f"| {line.aim if index == 0 else ''} | {verdict} "
            f"| {line.ollama if index == 0 else ''} | {when if index == 0 else ''} |"
        )
    return cells


def rivals_of(
    row: Row, scenario: dict[str, Any], line: Line, result: dict[str, Any]
) -> list[tuple[str, float, tuple[float, float, float] | None]]:
    """Name, value, and the ratio of ours to it with its interval."""
    found = []
    if "reference" in result:
        reference = result["reference"]
        ours = middle(scenario["values"]["llamawire"][line.metric])
        found.append((row.reference, reference, (ours / reference, math.nan, math.nan)))
    for ratio in scenario["ratios"]:
        if ratio["metric"] == line.metric:
            theirs = middle(scenario["values"][ratio["to"]][line.metric])
            found.append((ratio["to"], theirs, (ratio["value"], ratio["low"], ratio["high"])))
    return found


def reached(line: Line, ours: float, ratio: float) -> str:
    if not line.aim:
        return ""
    if line.most is not None:
        good = ours <= line.most
    elif line.least is not None:
        good = ours >= line.least
    elif "ms" in line.title.split(", ")[-1]:
        good = ratio <= (line.ratio or 0)
    else:
        good = ratio >= (line.ratio or 0)
    return "reached" if good else "**missed**"


def commands_part(rows: Sequence[Row], results: dict[str, dict[str, Any]]) -> str:
    """What each row ran, with the ports of that run."""
    lines: list[str] = []
    for row in rows:
        if row.name not in results:
            continue
        file = f"{row.shape}.gguf"
        settings = " ".join(f"{key}={value}" for key, value in row.places.settings.items())
        lines.append(f"**{row.name}**\n")
        lines.append(f"    llamawire bench --make-model {row.shape} {file}")
        lines.append(f"    {settings} llamawire serve")
        for _, setting in row.others:
            lines.append(f"    {setting} {settings} llamawire serve")
        for _, flags in row.peers:
            lines.append(f"    {shlex.join(peer_command(file, 'PORT', row.places, flags))}")
        lines.append(f"    {shown_command(results[row.name]['command'])}")
        if row.reference == "llama-batched-bench":
            lines.append(f"    {shlex.join(batched_command(file, row.tokens, row.places))}")
        elif row.reference:
            lines.append(f"    {shlex.join(bench_command(file, row.tokens))}")
        lines.append("")
    return "\n".join([COMMANDS_HEAD, *lines]) if lines else ""


def shown_command(command: str) -> str:
    """Without the place of the file that the table itself is made from."""
    words = shlex.split(command)
    if "--json" in words:
        at = words.index("--json")
        del words[at : at + 2]
    return shlex.join(words)


def middle(values: list[float]) -> float:
    return statistics.median(values)


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def ratio_text(ratio: tuple[float, float, float] | None) -> str:
    if ratio is None:
        return ""
    value, low, high = ratio
    if low is None or high is None or math.isnan(low):
        return f"{value:.2f}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
