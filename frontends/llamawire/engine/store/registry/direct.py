"""A plain body straight from its socket to the disk, past the event loop.

aiohttp reads the head of an answer; what follows is bytes alone, and many of them. One call in a
thread takes what the socket has into one buffer and writes it down: nothing is allocated, and the
bytes are still in that core's cache. The event loop only waits for the socket to be readable, so
that slow connections hold no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket

import aiohttp

__all__ = ["DirectBody"]

# After so long without a byte a call gives its thread back.
PATIENCE_MS = 5


class DirectBody:
    """The body of a response, whose connection is good for nothing else from here on."""

    def __init__(self, response: aiohttp.ClientResponse, owned: socket.socket) -> None:
        self._response = response
        # The transport keeps the original until the response is closed; both are one connection.
        self._socket = owned
        self._poll = select.poll()
        self._poll.register(owned, select.POLLIN)
        # Without pausing, nothing can come between this and the first read.
        self.first = response.content.read_nowait()

    @classmethod
    def of(cls, response: aiohttp.ClientResponse, size: int, least: int) -> DirectBody | None:
        """Takes the body over if it is `size` plain bytes, and at least `least`, so worth it."""
        connection = response.connection
        transport = connection.transport if connection is not None else None
        if transport is None or size < least or response.content_length != size:
            return None
        is_plain = transport.get_extra_info("sslcontext") is None
        original = transport.get_extra_info("socket")
        if not is_plain or original is None or response.headers.get("Transfer-Encoding"):
            return None
        body = cls(response, socket.socket(fileno=os.dup(original.fileno())))
        if isinstance(transport, asyncio.ReadTransport):
            transport.pause_reading()
        return body

    async def readable(self, timeout_s: float | None) -> None:
        """Returns when there is something to take, the end included. Raises TimeoutError."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), timeout_s)
        finally:
            loop.remove_reader(self._socket)

    def take(self, buffer: memoryview) -> int:
        """Fills the buffer as far as bytes come without a pause. Raises EOFError, OSError."""
        size = 0
        while size < len(buffer) and self._poll.poll(PATIENCE_MS):
            with contextlib.suppress(BlockingIOError):
                count = self._socket.recv_into(buffer[size:])
                if not count:
                    if not size:
                        raise EOFError
                    break
                size += count
        return size

    def close(self) -> None:
        self._socket.close()
        self._response.close()
