"""HTTP answers, recorded raw while they come and read afterwards.

The measuring client shares the machine with what it measures. So while an answer comes, its bytes
are only put aside with the time; decoding waits until everything is over. Each request has a
connection of its own, whose end is the end of the answer.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

from llamawire.cli.bench.exchange import BenchError

__all__ = ["HttpReader", "Recording", "post", "timed_lines"]

CONNECT_TIMEOUT_S = 10.0
ERROR_TEXT_MAX = 300

Chunk = tuple[float, bytes]


class Recording(asyncio.Protocol):
    """The bytes of one answer and the times they came."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.started_s = 0.0
        self._transport: asyncio.Transport | None = None
        self._wanted = 0
        self._enough = asyncio.Event()
        self._closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.chunks.append((time.perf_counter(), data))
        if 0 < self._wanted <= len(self.chunks):
            self._enough.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        self._enough.set()

    def send(self, request: bytes) -> None:
        assert self._transport is not None
        self.started_s = time.perf_counter()
        self._transport.write(request)

    async def wait_chunks(self, count: int) -> None:
        """Returns when so many chunks have come, or the connection is closed."""
        self._wanted = count
        if len(self.chunks) < count and not self._closed.is_set():
            self._enough.clear()
            await self._enough.wait()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()


async def post(url: str, body: object) -> Recording:
    """Sends `body` as JSON and returns while the answer comes."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "127.0.0.1", parts.port or (443 if secure else 80)
    data = json.dumps(body).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    connecting = asyncio.get_running_loop().create_connection(
        Recording, host, port, ssl=ssl.create_default_context() if secure else None
    )
    try:
        _, recording = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
    except (OSError, asyncio.TimeoutError) as error:
        raise BenchError(f"nobody answers at {url}: {error or 'no connection in time'}") from error
    recording.send(head.encode() + data)
    return recording


class HttpReader:
    """An HTTP/1.1 answer, fed in whatever pieces: `feed` gives the bytes of the body in them."""

    def __init__(self) -> None:
        self.status = 0
        self._buffer = b""
        self._is_chunked = False
        self._in_body = False
        self._chunk_left = 0

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        if not self._in_body and not self._read_head():
            return b""
        if self._is_chunked:
            return b"".join(self._dechunked())
        body, self._buffer = self._buffer, b""
        return body

    def _read_head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        status_line, *lines = head.split(b"\r\n")
        words = status_line.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise BenchError(f"this is no HTTP answer: {status_line[:80]!r}")
        self.status = int(words[1])
        headers = [line.lower().partition(b":") for line in lines]
        self._is_chunked = any(
            name == b"transfer-encoding" and b"chunked" in value for name, _, value in headers
        )
        self._buffer, self._in_body = rest, True
        return True

    def _dechunked(self) -> Iterator[bytes]:
        while self._buffer:
            if self._chunk_left > 2:
                part = self._buffer[: self._chunk_left - 2]
                self._buffer = self._buffer[len(part) :]
                self._chunk_left -= len(part)
                yield part
            elif self._chunk_left:  # the line end behind a chunk, which may come in two halves
                part = self._buffer[: self._chunk_left]
                self._buffer = self._buffer[len(part) :]
                self._chunk_left -= len(part)
            else:
                size, end, rest = self._buffer.partition(b"\r\n")
                if not end:
                    return
                length = int(size.partition(b";")[0], 16)
                self._buffer = rest
                self._chunk_left = length + 2


def timed_lines(chunks: Sequence[Chunk]) -> list[tuple[float, bytes]]:
    """The lines of the body, each with the time of its last byte. BenchError for a status that is
    not 200, with the server's words."""
    reader = HttpReader()
    lines: list[tuple[float, bytes]] = []
    rest = b""
    for at_s, data in chunks:
        *whole, rest = (rest + reader.feed(data)).split(b"\n")
        lines.extend((at_s, line.rstrip(b"\r")) for line in whole)
    if rest:
        lines.append((chunks[-1][0], rest))
    if reader.status not in (0, 200):
        words = b"\n".join(line for _, line in lines)[:ERROR_TEXT_MAX].decode(errors="replace")
        raise BenchError(f"the server answered {reader.status}: {words}")
    return lines
