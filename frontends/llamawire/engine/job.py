"""One request as the decode loop sees it, and the journal by which another worker goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamawire.engine.options import Options
from llamawire.engine.prompt import ToolCall
from llamawire.engine.prompt.output import ThinkingBudget
from llamawire.engine.structure import Grammar

__all__ = ["Accepted", "Finished", "Job", "Journal", "Piece", "TokenLogprob", "Update"]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked to do; everything in it is resolved."""

    prompt: str | tuple[int, ...]
    options: Options
    truncate: bool = True
    shift: bool = True
    reproducible: bool = False
    """The same text on a cold and on a warm cache; costs the reuse of generated tokens."""
    isolated: bool = False
    """The same text in any company and after a crash; costs the sharing of calls."""
    priority: int = 0
    user: str = ""
    """Whose job it is; users have equal shares."""
    grammar: Grammar | None = None
    marks: tuple[str, ...] = ()
    """Control tokens that the answer's reader has to know of, see prompt/output/marks.py."""
    thinking: ThinkingBudget | None = None
    top_logprobs: int | None = None
    """Alternatives to each token whose log-probabilities are told; None: no log-probabilities."""
    images: tuple[bytes, ...] = ()
    """Pictures as files; `[img-N]` in the prompt's text stands for the one numbered N."""


@dataclass(slots=True)
class Journal:
    """All that a second worker must know of what the first one did.

    Everything else (the state of the stop strings, of half characters, of the penalties, of the
    random numbers) follows from these ids, so it is replayed and not stored.
    """

    prompt_ids: tuple[int, ...] | None = None
    """The ids of images are negative."""
    image_spans: tuple[tuple[int, int], ...] = ()
    """Which image stands in the prompt, and where its ids begin."""
    generated_ids: list[int] = field(default_factory=list)
    emitted_bytes: int = 0
    crashes: int = 0
    """Crashes of a worker that had this job in its batch."""
    crashes_waiting: int = 0
    """Crashes of a worker that had this job, but not in its batch."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The prompt is tokenised and has its stream. received = kept + dropped."""

    received_count: int
    kept_count: int
    dropped_count: int
    cached_count: int


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's bytes, the natural logarithm of its probability, and the best alternatives."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that became certain at one step, and the tokens it is made of.

    A worker gives text only; what of it is thinking and what a call is found in the daemon.
    """

    text: str
    token_ids: tuple[int, ...]
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    """One a token, if asked for; the tokens that end an answer have none."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Why a job ended, what it took. Times are nanoseconds.

    `reason` is stop, length, context or deadline.
    """

    reason: str
    generated_count: int
    shift_count: int
    resumed_count: int
    queue_ns: int
    prompt_ns: int
    generate_ns: int


Update = Accepted | Piece | Finished
