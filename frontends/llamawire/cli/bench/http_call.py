"""An answer over HTTP, under way; the protocols differ only in how its bytes are read."""

from __future__ import annotations

from typing import Protocol

from llamawire.cli.bench.exchange import BenchError, Exchange, Message
from llamawire.cli.bench.http_record import Chunk, Recording

__all__ = ["HttpCall", "cut_short"]


class Read(Protocol):
    """Reads the answer in `chunks`. BenchError if it has no end and nobody left."""

    def __call__(
        self, started_s: float, chunks: list[Chunk], *, left: bool = False
    ) -> Exchange: ...


class HttpCall:
    """A recording, and who reads it when it is over."""

    def __init__(self, recording: Recording, read: Read) -> None:
        self._recording = recording
        self._read = read
        self._left = False

    async def wait_messages(self, count: int) -> None:
        await self._recording.wait_chunks(count)

    def hang_up(self) -> None:
        self._left = True
        self._recording.abort()

    async def result(self) -> Exchange:
        await self._recording.wait_closed()
        return self._read(self._recording.started_s, self._recording.chunks, left=self._left)


def cut_short(started_s: float, messages: list[Message], *, left: bool) -> Exchange:
    """What there is of an answer without an end, which is an error unless we left."""
    if not left:
        raise BenchError("the answer has no end: the connection was closed before")
    return Exchange(started_s, messages[-1].at_s if messages else started_s, messages)
