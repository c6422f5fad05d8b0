"""docs/benchmarks.md, written from the rows' results."""

from __future__ import annotations

import math
import shlex
import statistics
from pathlib import Path
from typing import Any

from bench.table.rows import ROWS, Line, Row
from bench.table.servers import OURS, batched_command, peer_command

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

GPU = """\
## With a GPU

No GPU was at hand, so nothing was measured on one. On a machine with one:

    LLAMAWIRE_CUDA=1 make install peer
    llamawire bench --make-model llama3-8b-q8_0 8b.gguf
    LLAMAWIRE_NUM_PARALLEL=32 LLAMAWIRE_CONTEXT_LENGTH=2048 llamawire serve
    build/peer/bin/llama-server -m 8b.gguf -np 32 -c 65536 -ngl 99 --port 8080
    build/peer/bin/llama-server -m 8b.gguf -np 32 -c 65536 -ngl 99 -bs --port 8081
    llamawire bench --target llamawire=ollama:http://127.0.0.1:11434 \\
        --target llama-server=openai:http://127.0.0.1:8080 \\
        --target llama-server-bs=openai:http://127.0.0.1:8081 --streams 32 m streams one-stream
    build/peer/bin/llama-bench -m 8b.gguf -ngl 99
"""


def write_page(path: Path, results: dict[str, dict[str, Any]]) -> None:
    parts = [HEAD, machine_part(results), table_part(results), commands_part(results), GPU]
    path.write_text("\n".join(part for part in parts if part))


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
    return "\n".join(lines) + "\n"


def table_part(results: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| scenario | llamawire | llama-server | ratio | aim | | Ollama | date, commit, load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
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
    rivals = rivals_of(scenario, line, result)
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
    scenario: dict[str, Any], line: Line, result: dict[str, Any]
) -> list[tuple[str, float, tuple[float, float, float] | None]]:
    """Name, value, and the ratio of ours to it with its interval."""
    found = []
    if "batched_step_ms" in result:
        step = result["batched_step_ms"]
        ours = middle(scenario["values"]["llamawire"][line.metric])
        found.append(("llama-batched-bench", step, (ours / step, math.nan, math.nan)))
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


def commands_part(results: dict[str, dict[str, Any]]) -> str:
    settings = " ".join(f"{key}={value}" for key, value in OURS.items())
    lines = [
        "## Commands\n",
        f"The daemon of every row: `{settings} llamawire serve`, with the row's model created as "
        "`m`. What each row ran, with the ports of that run:\n",
    ]
    for row in ROWS:
        if row.name not in results:
            continue
        lines.append(f"**{row.name}**\n")
        lines.append(f"    llamawire bench --make-model {row.shape} {row.shape}.gguf")
        for _, setting in row.others:
            lines.append(f"    {setting} {settings} llamawire serve")
        for _, flags in row.peers:
            lines.append(f"    {shlex.join(peer_command(f'{row.shape}.gguf', 'PORT', flags))}")
        lines.append(f"    {shown_command(results[row.name]['command'])}")
        if row.batched:
            lines.append(f"    {shlex.join(batched_command(f'{row.shape}.gguf', row.tokens))}")
        lines.append("")
    return "\n".join(lines)


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
