"""Large files past the event loop: TLS, proxies, odd lengths, and who leaves in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from engine.store.registry.conftest import LIMITS, Open, Start, TlsFiles, lines_of, noise
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from llamawire.engine.store import Library
from llamawire.engine.store.registry import (
    Registry,
    RegistryError,
    RegistryMisbehaved,
    RegistryUnreachable,
)

TEXT = "application/vnd.ollama.image.license"
BIG = noise(5 * LIMITS.part_bytes_min + 99)
LOGIN = "Proxy-Authorization: Basic bWU6c2VjcmV0"


@dataclass
class Tunnels:
    """A proxy that opens tunnels, all of them to one place; `heads` are the requests for them."""

    to_port: int
    refusal: str = ""
    port: int = 0
    heads: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.refusal:
                writer.write(f"HTTP/1.1 {self.refusal}\r\n\r\n".encode())
            else:
                writer.write(b"HTTP/1.0 200 OK\r\nVia: tests\r\n\r\n")
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
                await asyncio.gather(hand_on(reader, far_writer), hand_on(far_reader, writer))
            writer.close()


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def tunnels_to(port: int, refusal: str = "") -> AsyncIterator[Tunnels]:
    tunnels = Tunnels(port, refusal)
    server = await asyncio.start_server(tunnels.handle, "127.0.0.1", 0)
    tunnels.port = server.sockets[0].getsockname()[1]
    try:
        yield tunnels
    finally:
        server.close()


@pytest.fixture
def model(fake: FakeRegistry) -> str:
    fake.add_model("library/m:latest", (TEXT, BIG))
    return f"http://{fake.host}/library/m"


def blob(library: Library) -> bytes:
    return library.blobs.path(digest_of(BIG)).read_bytes()


async def test_over_tls(
    start: Start, open_registry: Open, library: Library, tls_files: TlsFiles
) -> None:
    fake = await start(tls_files.server)
    fake.add_model("library/m:latest", (TEXT, BIG))
    await lines_of(open_registry(tls=tls_files.client).pull(f"{fake.host}/library/m"))
    assert blob(library) == BIG
    # Who has a connection of its own says so; the last part is too small for that.
    closed = [one for one in fake.of("GET") if one.headers.get("Connection") == "close"]
    assert len(closed) == len(BIG) // LIMITS.part_bytes_min


async def test_storage_with_a_certificate_that_nobody_signed(
    fake: FakeRegistry, start: Start, registry: Registry, model: str, tls_files: TlsFiles
) -> None:
    storage = await start(tls_files.server, blobs=fake.blobs)
    fake.redirect = storage.url
    with pytest.raises(RegistryUnreachable, match="tls: failed to verify certificate"):
        await lines_of(registry.pull(model))
    assert not storage.requests


async def test_storage_that_does_not_speak_tls(
    fake: FakeRegistry, start: Start, registry: Registry, model: str
) -> None:
    storage = await start(blobs=fake.blobs)
    fake.redirect = f"https://{storage.host}"
    with pytest.raises(RegistryUnreachable, match="server gave HTTP response to HTTPS client"):
        await lines_of(registry.pull(model))


async def test_storage_that_is_not_there(
    fake: FakeRegistry, registry: Registry, model: str, unused_tcp_port: int
) -> None:
    fake.redirect = f"http://127.0.0.1:{unused_tcp_port}"
    text = f'Get "http://127.0.0.1:{unused_tcp_port}/storage/{digest_of(BIG)}": dial tcp '
    with pytest.raises(RegistryUnreachable, match="connect: connection refused") as caught:
        await lines_of(registry.pull(model))
    assert text in str(caught.value)


async def test_a_body_in_chunks(
    fake: FakeRegistry, registry: Registry, library: Library, model: str
) -> None:
    fake.is_chunked = True
    await lines_of(registry.pull(model))
    assert blob(library) == BIG


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("wire_bytes_min", [LIMITS.wire_bytes_min, 1 << 40])
async def test_more_than_was_asked_for_is_refused(
    fake: FakeRegistry, open_registry: Open, model: str, is_chunked: bool, wire_bytes_min: int
) -> None:
    fake.is_chunked, fake.surplus = is_chunked, b"more"
    registry = open_registry(limits=replace(LIMITS, wire_bytes_min=wire_bytes_min))
    with pytest.raises(RegistryMisbehaved, match="the registry sends too much"):
        await lines_of(registry.pull(model))


async def test_a_plain_proxy(
    environment: pytest.MonkeyPatch, start: Start, open_registry: Open, library: Library
) -> None:
    proxy = await start()
    proxy.add_model("library/m:latest", (TEXT, BIG))
    environment.setenv("HTTP_PROXY", f"http://me:secret@{proxy.host}")
    await lines_of(open_registry().pull("http://far.example/library/m"))
    assert blob(library) == BIG
    assert {request.headers["Host"] for request in proxy.requests} == {"far.example"}
    assert all("Proxy-Authorization" in request.headers for request in proxy.requests)


async def test_a_tunnel(
    environment: pytest.MonkeyPatch,
    start: Start,
    open_registry: Open,
    library: Library,
    tls_files: TlsFiles,
) -> None:
    fake = await start(tls_files.server)
    fake.add_model("library/m:latest", (TEXT, BIG))
    async with tunnels_to(fake.port) as tunnels:
        environment.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{tunnels.port}")
        registry = open_registry(tls=tls_files.client)
        await lines_of(registry.pull("far.example/library/m"))
        assert blob(library) == BIG
        assert all(head.startswith("CONNECT far.example:443 HTTP/1.1") for head in tunnels.heads)
        assert all(LOGIN in head for head in tunnels.heads)
    # What is for the proxy stays there.
    assert not any("Proxy-Authorization" in request.headers for request in fake.requests)


async def test_a_tunnel_that_is_refused(
    environment: pytest.MonkeyPatch, fake: FakeRegistry, open_registry: Open, model: str
) -> None:
    fake.redirect = "https://far.example"
    async with tunnels_to(0, refusal="407 Proxy Authentication Required") as tunnels:
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnels.port}")
        text = "proxyconnect tcp: 407 Proxy Authentication Required"
        with pytest.raises(RegistryUnreachable, match=text):
            await lines_of(open_registry().pull(model))


async def test_a_password_in_an_address_is_for_its_host(
    fake: FakeRegistry, start: Start, registry: Registry, library: Library, model: str
) -> None:
    storage = await start(blobs=fake.blobs)
    fake.redirect = f"http://me:secret@{storage.host}"
    await lines_of(registry.pull(model))
    assert blob(library) == BIG
    assert {one.headers["Authorization"] for one in storage.requests} == {"Basic bWU6c2VjcmV0"}


async def test_who_leaves_does_not_wait_for_a_line_that_stands(
    fake: FakeRegistry, open_registry: Open, model: str
) -> None:
    fake.stalls = [20_000] * 10
    registry = open_registry(limits=replace(LIMITS, stall_timeout_s=3600.0))
    pulling = asyncio.create_task(lines_of(registry.pull(model)))
    while len(fake.ranges()) < LIMITS.streams:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    with contextlib.suppress(RegistryError):
        await registry.close()
