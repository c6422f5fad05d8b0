"""Answers on the wire: single objects, and streams of lines.

Every token comes by here: the lines of a gRPC message, each in an HTTP chunk of its own, go to the
socket all at once. aiohttp would write once for each chunk, so the framing is done here and only
the head and the end are left to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from .gojson import encode

__all__ = ["JSON", "JSON_UTF8", "NDJSON", "LineStream", "json_response"]

JSON_UTF8 = "application/json; charset=utf-8"
JSON = "application/json"
NDJSON = "application/x-ndjson"
UNSENT_BYTES_MAX = 16 << 10
"""Of a stream, in the kernel. It would take megabytes, tens of thousands of tokens that nobody may
ever read, before a slow reader is seen to be slow."""


def json_response(
    value: object,
    *,
    status: int = 200,
    content_type: str = JSON_UTF8,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """One object, without a newline at its end."""
    all_headers = {"Content-Type": content_type, **(headers or {})}
    return web.Response(body=encode(value), status=status, headers=all_headers)


class LineStream:
    """A streamed answer. Nothing is sent before the first line, so that an error can still have
    its own status until then.

    `send` returns when the client has room for more: a slow reader holds up its own stream only.
    """

    def __init__(self, request: web.Request, content_type: str = NDJSON) -> None:
        self._request = request
        self._response = web.StreamResponse(headers={"Content-Type": content_type})
        self._writer: AbstractStreamWriter | None = None
        self._is_chunked = request.version >= HttpVersion11

    @property
    def is_started(self) -> bool:
        return self._writer is not None

    async def send(self, lines: Sequence[bytes]) -> None:
        """Sends complete lines, each with its newline."""
        writer = self._writer or await self._start()
        if self._is_chunked:
            data = b"".join([b"%x\r\n%b\r\n" % (len(line), line) for line in lines])
        else:
            data = b"".join(lines)
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        transport.write(data)
        writer.output_size += len(data)
        await writer.drain()

    async def finish(self, last_line: bytes = b"") -> web.StreamResponse:
        """Sends the last line and the end of the body in one write."""
        if self._writer is None:
            await self._start()
        await self._response.write_eof(last_line)
        return self._response

    async def _start(self) -> AbstractStreamWriter:
        writer = await self._response.prepare(self._request)
        if writer is None:
            raise ConnectionResetError("the client has closed the connection")
        self._writer = writer
        limit_unsent(self._request.transport)
        return writer


def limit_unsent(transport: asyncio.Transport | None) -> None:
    """Lets the kernel hold no more than UNSENT_BYTES_MAX that the client has no room for."""
    connection = transport.get_extra_info("socket") if transport else None
    # Neither on every system, nor for every kind of socket.
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if connection is not None and connection.family != socket.AF_UNIX and option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES_MAX)
