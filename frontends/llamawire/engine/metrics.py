"""What can be watched: counts, times and levels in Prometheus's text format.

Times are measured on the daemon's clock, from the request's arrival. A model's name is a label only
once the store knows it, so that strangers cannot make labels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from llamawire.engine.errors import EngineError
from llamawire.engine.job import Accepted, Finished, Piece, Update

__all__ = ["CONTENT_TYPE", "Level", "Metrics", "RequestWatch"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
UNKNOWN_MODEL = ""

WAIT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
TOKEN_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


@dataclass(frozen=True, slots=True)
class Level:
    """One model in memory, now."""

    model: str
    requests: int
    """Under way, waiting ones among them."""
    streams: int
    """How many of them can run at a time."""
    bytes: int


class Metrics:
    """One registry for one daemon."""

    def __init__(self, levels: Callable[[], Iterable[Level]]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a useless series more for each
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(LevelCollector(levels))
        self.requests = self._counter("requests", "Requests, by how they ended.", "outcome")
        self.prompt_tokens = self._counter(
            "prompt_tokens",
            "Prompt tokens, by what became of them: computed, cached or dropped.",
            "fate",
        )
        self.generated_tokens = self._counter("generated_tokens", "Tokens of answers.")
        self.resumes = self._counter("resumes", "Requests that went on after a worker's crash.")
        self.worker_deaths = self._counter("worker_deaths", "Workers that died with a model.")
        self.load_s = self._histogram("load_seconds", "Waits for a load.", WAIT_BUCKETS_S)
        self.queue_s = self._histogram("queue_seconds", "Waits for a stream.", WAIT_BUCKETS_S)
        self.first_token_s = self._histogram(
            "time_to_first_token_seconds", "Arrival to the first token.", WAIT_BUCKETS_S
        )
        self.token_s = self._histogram(
            "time_per_output_token_seconds",
            "Mean time between an answer's tokens.",
            TOKEN_BUCKETS_S,
        )
        self.request_s = self._histogram(
            "request_seconds", "Arrival to the end of the answer.", WAIT_BUCKETS_S
        )

    def text(self) -> bytes:
        """All of it, in CONTENT_TYPE."""
        return generate_latest(self._registry)

    def request(self) -> RequestWatch:
        """Watches one request, from now."""
        return RequestWatch(self)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"llamawire_{name}", text, ("model", *labels), registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(
            f"llamawire_{name}", text, ("model",), buckets=buckets, registry=self._registry
        )


class RequestWatch:
    """A request, as a block: however it is left, it is counted once."""

    def __init__(self, metrics: Metrics) -> None:
        self.model = UNKNOWN_MODEL
        self._metrics = metrics
        self._started_ns = time.monotonic_ns()
        self._outcome = ""
        self._has_token = False

    def __enter__(self) -> RequestWatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outcome = self._outcome or outcome_of(error)
        self._metrics.requests.labels(self.model, outcome).inc()

    @property
    def elapsed_ns(self) -> int:
        return time.monotonic_ns() - self._started_ns

    def loaded(self) -> None:
        """The model is in memory."""
        self._metrics.load_s.labels(self.model).observe(self.elapsed_ns / 1e9)

    def see(self, updates: Iterable[Update]) -> None:
        """What the request's reader gets."""
        for update in updates:
            if isinstance(update, Piece):
                self._see_token()
            elif isinstance(update, Accepted):
                self.count_prompt(update.kept_count, update.cached_count, update.dropped_count)
            elif isinstance(update, Finished):
                self._see_end(update)

    def count_prompt(self, kept: int, cached: int = 0, dropped: int = 0) -> None:
        """Tokens; kept holds the cached ones."""
        fates = {"computed": kept - cached, "cached": cached, "dropped": dropped}
        for fate, count in fates.items():
            if count > 0:
                self._metrics.prompt_tokens.labels(self.model, fate).inc(count)

    def done(self, outcome: str = "stop") -> None:
        """It has its answer."""
        self._outcome = outcome
        self._metrics.request_s.labels(self.model).observe(self.elapsed_ns / 1e9)

    def _see_token(self) -> None:
        if not self._has_token:
            self._has_token = True
            self._metrics.first_token_s.labels(self.model).observe(self.elapsed_ns / 1e9)

    def _see_end(self, end: Finished) -> None:
        metrics, model = self._metrics, self.model
        metrics.generated_tokens.labels(model).inc(end.generated_count)
        metrics.queue_s.labels(model).observe(end.queue_ns / 1e9)
        if end.generated_count > 1:
            metrics.token_s.labels(model).observe(end.generate_ns / 1e9 / end.generated_count)
        if end.resumed_count:
            metrics.resumes.labels(model).inc()
        self.done(end.reason)


class LevelCollector(Collector):
    """Asks for the levels when they are read."""

    def __init__(self, levels: Callable[[], Iterable[Level]]) -> None:
        self._levels = levels

    def collect(self) -> Iterator[Metric]:
        families = [
            GaugeMetricFamily(f"llamawire_{name}", text, labels=("model",))
            for name, text in (
                ("requests_running", "Requests that have one of the model's streams."),
                ("requests_waiting", "Requests that wait for a stream."),
                ("model_bytes", "Memory of a model: weights, projector and KV cache."),
            )
        ]
        for level in self._levels():
            running = min(level.requests, level.streams)
            values = (running, level.requests - running, level.bytes)
            for family, value in zip(families, values, strict=True):
                family.add_metric((level.model,), value)
        yield from families


def outcome_of(error: BaseException | None) -> str:
    """The reason of a failure, as docs/errors.md has it; leaving is no failure."""
    if error is None or not isinstance(error, Exception) or isinstance(error, GeneratorExit):
        return "cancelled"
    if isinstance(error, EngineError):
        return error.reason
    return str(getattr(error, "reason", "INTERNAL"))
