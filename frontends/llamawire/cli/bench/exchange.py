"""One request and its answer, as the client saw them.

Times are seconds of `time.perf_counter`, which all clients of this process share.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["BenchError", "Call", "Client", "Exchange", "Message", "Request", "ServerTimes"]


class BenchError(Exception):
    """A measurement that could not be made; the text says why."""


@dataclass(frozen=True)
class Request:
    """What every protocol can ask: a prompt as it is, and an answer of a fixed length.

    Sampling is spelt out, so that no server's own defaults make it cheaper or dearer.
    """

    prompt: str
    num_predict: int
    seed: int = 0
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    json_schema: str = ""
    """The form of the answer; empty: free text."""


@dataclass(frozen=True)
class Message:
    """A piece of the answer."""

    at_s: float
    text: str


@dataclass(frozen=True)
class ServerTimes:
    """What the server says of itself, in seconds; None: it does not say."""

    total_s: float | None = None
    prompt_s: float | None = None
    generate_s: float | None = None


@dataclass(frozen=True)
class Exchange:
    """A finished answer, or one that the client left (`generated_count` is then 0)."""

    started_s: float
    ended_s: float
    messages: list[Message] = field(default_factory=list)
    prompt_count: int = 0
    generated_count: int = 0
    """The server's own count."""
    server: ServerTimes = ServerTimes()

    @property
    def duration_s(self) -> float:
        return self.ended_s - self.started_s

    @property
    def text(self) -> str:
        return "".join(message.text for message in self.messages)

    @property
    def first_at_s(self) -> float:
        """When the first text came. BenchError if none did."""
        for message in self.messages:
            if message.text:
                return message.at_s
        raise BenchError("an answer came without a text")

    @property
    def first_token_s(self) -> float:
        """From the request to the first text."""
        return self.first_at_s - self.started_s

    def gaps_s(self, since_s: float = 0.0, until_s: float = float("inf")) -> list[float]:
        """Times between two arrivals of text of which the second was after `since_s` and the first
        before `until_s`. What came in one read is one arrival."""
        times = list(dict.fromkeys(message.at_s for message in self.messages if message.text))
        return [
            after - before
            for before, after in itertools.pairwise(times)
            if after > since_s and before < until_s
        ]


class Call(Protocol):
    """An answer under way."""

    async def wait_messages(self, count: int) -> None:
        """Returns when so many pieces of the answer have come, or it has ended."""

    def hang_up(self) -> None:
        """Leaves the answer; `result` then gives what has come."""

    async def result(self) -> Exchange:
        """The whole answer. BenchError says what the server said instead."""


class Client(Protocol):
    """Speaks one protocol to one server."""

    async def begin(self, request: Request) -> Call:
        """Sends a request."""

    async def unload(self) -> None:
        """Takes the model out of memory. BenchError if the protocol cannot."""

    async def close(self) -> None: ...
