from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc.aio
import pytest

from llamawire.rest import RestSettings, Stubs, create_app, from_channel, serve_app
from rest.fake_engine import FakeEngine, LocalStub, add_to_server


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    body: bytes
    headers: Any

    @property
    def type(self) -> str:
        return str(self.headers.get("Content-Type"))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])

    @property
    def lines(self) -> list[Any]:
        assert self.body.endswith(b"\n")
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Rest:
    """A running adapter over a fake engine."""

    engine: FakeEngine
    port: int
    session: aiohttp.ClientSession
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(
            method, url, data=data and io.BytesIO(data), headers=names, allow_redirects=False
        ) as response:
            return Reply(response.status, await response.read(), response.headers)

    async def generate(self, **body: Any) -> Reply:
        return await self.request("POST", "/api/generate", {"model": "tiny", **body})

    async def chat(self, *messages: Any, **body: Any) -> Reply:
        """A text is a message of the user's."""
        given = [{"role": "user", "content": one} if isinstance(one, str) else one
                 for one in messages]  # fmt: skip
        if given:
            body["messages"] = given
        return await self.request("POST", "/api/chat", {"model": "tiny", **body})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def send_raw(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect()
        writer.write(request)
        return reader, writer

    async def raw(self, head: str, body: bytes = b"") -> bytes:
        """Everything that comes back on a connection of its own."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        reader, _ = await self.send_raw(
            f"{head}\r\n{length}Connection: close\r\n\r\n".encode() + body
        )
        return await reader.read()


Start = Callable[..., Awaitable[Rest]]


@pytest.fixture(params=["in process", "channel"])
async def start(request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Starts the adapter over an engine in the same process and over one behind a channel."""
    async with AsyncExitStack() as stack:

        async def stubs(engine: FakeEngine) -> Stubs:
            if request.param == "in process":
                local: Any = LocalStub(engine)
                return Stubs(local, local, local, local, local)
            server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
            add_to_server(engine, server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, None)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            await stack.enter_async_context(channel)
            return from_channel(channel)

        async def begin(
            engine: FakeEngine | None = None, settings: RestSettings | None = None, **options: Any
        ) -> Rest:
            engine = engine or FakeEngine()
            app = create_app(await stubs(engine), settings, **options)
            serving = await serve_app(app, "127.0.0.1", 0)
            stack.push_async_callback(serving.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            rest = Rest(engine, serving.port, session)
            stack.callback(lambda: [writer.close() for writer in rest.writers])
            return rest

        yield begin


@pytest.fixture
async def rest(start: Start) -> Rest:
    return await start()
