"""The rows of docs/benchmarks.md: which scenario over which model against whom, and the aim."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.table.servers import Places

__all__ = ["ROWS", "Line", "Row"]

TINY, SMALL, LARGE = "tiny-1m-q8_0", "smollm2-135m-q8_0", "llama3.2-1b-q4_0"
LARGEST = "llama3-8b-q8_0"
NO_FLAGS: tuple[str, ...] = ()
FAIR_ON_GAPS = ("-b", "128", "-ub", "128")
GPU_PEERS = (("llama-server", ("-ngl", "99")), ("llama-server -bs", ("-ngl", "99", "-bs")))


@dataclass(frozen=True)
class Line:
    """One line of the page."""

    metric: str
    title: str
    aim: str
    ollama: str
    """As issue 5 quotes it: Ollama cannot be had where this runs."""
    ratio: float | None = None
    """Ours over llama-server's must reach it, or with `most` stay below it."""
    most: float | None = None
    """Ours must be at most so much (milliseconds)."""
    least: float | None = None
    """Ours must be at least so much."""


@dataclass(frozen=True)
class Row:
    """One run of `llamawire bench`; what it shows stands in `lines`."""

    name: str
    scenario: str
    shape: str
    lines: tuple[Line, ...]
    tokens: int = 128
    peers: tuple[tuple[str, tuple[str, ...]], ...] = (("llama-server", NO_FLAGS),)
    rounds: int = 9
    limit_s: int = 150
    reference: str = ""
    """`llama-batched-bench` or `llama-bench`, if it runs too, without a server."""
    places: Places = field(default_factory=Places)
    gpu: bool = False
    """Only with --gpu, which leaves out the others."""
    others: tuple[tuple[str, str], ...] = ()
    """Daemons of ours with one more setting, `NAME=VALUE`, and what they are called."""


ROWS = (
    Row(
        "tiny-one-stream", "one-stream", TINY,
        (Line("rate", "tiny model (1M parameters), one stream, tok/s", ">= 1.3 x",
              "1,600-2,400", ratio=1.3),),
        tokens=1000,
    ),
    Row(
        "tiny-streams", "streams", TINY,
        (Line("rate", "tiny model, 8 streams, tok/s in all", ">= 1.7 x",
              "2,300-2,800", ratio=1.7),),
        tokens=500,
    ),
    Row(
        "streams", "streams", SMALL,
        (Line("rate", "135M, 8 streams, tok/s in all (prompts included)", ">= 1.05 x",
              "208-241", ratio=1.05),),
    ),
    Row(
        "reproducible", "streams", SMALL,
        (Line("rate", "135M, 8 streams, tok/s in all, and in reproducible mode (for its cost)",
              "", ""),),
        peers=(),
        others=(("reproducible", "LLAMAWIRE_REPRODUCIBLE=1"),),
        rounds=5,
    ),
    Row(
        "intrusion", "intrusion", SMALL,
        (
            Line("worst_gap", "135M, 4 streams decode, a 1,300-token prompt arrives: worst gap "
                 "in the 4, ms", "<= 100 ms", "1,835", most=100),
            Line("long_first_token", "… first token of the long prompt, ms",
                 "<= 1.25 x llama-server", "2,190-2,390", ratio=1.25),
            Line("short_first_token", "… a 20-token prompt arrives behind it: its first token, ms",
                 "<= 250 ms", "1,890", most=250),
        ),
        peers=(("llama-server", NO_FLAGS), ("llama-server -b 128", FAIR_ON_GAPS)),
    ),
    Row(
        "common-beginning", "common-beginning", SMALL,
        (Line("all_first_tokens", "135M, 8 clients at once with one 400-word beginning: all have "
              "their first token, ms", "<= 1,000 ms", "5,150", most=1000),),
    ),
    Row(
        "schema", "schema", SMALL,
        (Line("schema_to_free", "135M, 8 streams: rate with a JSON schema / free text", ">= 0.95",
              "0.59", least=0.95),),
        tokens=64,
    ),
    Row(
        "hang-up", "hang-up", SMALL,
        (Line("first_token", "135M, 8 streams, one client hangs up: first token of the one that "
              "waited, ms", "<= 60 ms", "91-123", most=60),),
    ),
    Row(
        "cold-load", "cold-load", SMALL,
        (Line("first_token", "unloaded model (145 MB) to first token, ms", "<= 350 ms",
              "540-790", most=350),),
        peers=(),
    ),
    Row(
        "large-streams", "streams", LARGE,
        (Line("gap_p50", "1.2B Q4_0, 8 streams, gap, ms", "<= 1.03 x the step of "
              "llama-batched-bench", "114", ratio=1.03),),
        tokens=24,
        rounds=5,
        limit_s=240,
        reference="llama-batched-bench",
    ),
    Row(
        "gpu-one-stream", "one-stream", LARGEST,
        (Line("rate", "8B Q8_0, one stream, tok/s", ">= 0.98 of llama-bench", "", ratio=0.98),),
        tokens=256,
        peers=GPU_PEERS,
        places=Places(1, 1024),
        reference="llama-bench",
        rounds=5,
        limit_s=60,
        gpu=True,
    ),
    Row(
        "gpu-streams-32", "streams", LARGEST,
        (Line("rate", "8B Q8_0, 32 streams, tok/s in all", ">= 1.3 x the better one", "",
              ratio=1.3),),
        tokens=256,
        peers=GPU_PEERS,
        places=Places(32, 1024),
        rounds=5,
        limit_s=60,
        gpu=True,
    ),
    Row(
        "gpu-streams-64", "streams", LARGEST,
        (Line("rate", "8B Q8_0, 64 streams, tok/s in all", "", ""),),
        tokens=256,
        peers=GPU_PEERS,
        places=Places(64, 1024),
        rounds=5,
        limit_s=60,
        gpu=True,
    ),
)  # fmt: skip
