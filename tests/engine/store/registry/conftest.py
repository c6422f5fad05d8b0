from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.store.registry.docker_registry import make_certificate
from engine.store.registry.fake_registry import FakeRegistry, serving
from llamawire.engine.store import Library, Progress
from llamawire.engine.store.registry import Registry, RegistrySettings, TransferLimits

# Small parts and short waits, so that little data shows what much data does.
LIMITS = TransferLimits(
    streams=3,
    part_bytes_min=64 << 10,
    part_bytes_max=256 << 10,
    chunk_bytes=16 << 10,
    wire_bytes_min=32 << 10,
    chunk_age_s=0.05,
    attempts=4,
    retry_delay_s=0.01,
    stall_timeout_s=2.0,
    progress_interval_s=0.005,
    lock_poll_s=0.01,
)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


Start = Callable[..., Awaitable[FakeRegistry]]
Open = Callable[..., Registry]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts fake registries."""
    async with AsyncExitStack() as stack:

        async def begin(ssl_context: Any = None, **faults: Any) -> FakeRegistry:
            fake = FakeRegistry(**faults)
            return await stack.enter_async_context(serving(fake, ssl_context))

        yield begin


@pytest.fixture
async def fake(start: Start) -> FakeRegistry:
    return await start()


@pytest.fixture
async def open_registry(library: Library, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens what is under test; `settings` are RegistrySettings' fields."""
    opened: list[Registry] = []

    def open_it(library: Library = library, limits: Any = LIMITS, **settings: Any) -> Registry:
        extra = {key: settings.pop(key) for key in ("tls", "free_bytes") if key in settings}
        settings.setdefault("key_file", tmp_path / "keys" / "id_ed25519")
        opened.append(Registry(library, RegistrySettings(limits=limits, **settings), **extra))
        return opened[-1]

    yield open_it
    for registry in opened:
        await registry.close()


@pytest.fixture
def registry(open_registry: Open) -> Registry:
    return open_registry()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@dataclass(frozen=True)
class TlsFiles:
    """A certificate for 127.0.0.1 that signs itself, seen from both ends."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def tls_files(tmp_path: Path) -> TlsFiles:
    certificate = make_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return TlsFiles(server, ssl.create_default_context(cafile=certificate))


async def lines_of(progress: AsyncIterator[Progress]) -> list[Progress]:
    return [line async for line in progress]


async def statuses_of(progress: AsyncIterator[Progress]) -> list[str]:
    """The lines' texts; of lines about one file in a row, one."""
    found: list[str] = []
    async for line in progress:
        if not found or found[-1] != line.status:
            found.append(line.status)
    return found
