"""A daemon of the bench's own: on free ports, with one model in a store that goes with it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from llamawire.cli.bench.exchange import BenchError
from llamawire.cli.client import Client
from llamawire.cli.connection import ANONYMOUS, Connection
from llamawire.cli.create import create_request, send_create
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.progress import Progress
from llamawire.cli.upload import digest_of, upload

__all__ = ["MODEL", "OwnDaemon", "own_daemon"]

MODEL = "m"
START_TIMEOUT_S, STOP_TIMEOUT_S = 60.0, 30.0
LAST_LINES = 20
_LISTENS = re.compile(r"REST on http://\S+:(\d+), gRPC on \S+:(\d+)")
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class OwnDaemon:
    """Where it listens."""

    pid: int
    rest_port: int
    grpc_port: int

    @property
    def grpc_address(self) -> str:
        return f"{_LOOPBACK}:{self.grpc_port}"

    @property
    def rest_url(self) -> str:
        return f"http://{_LOOPBACK}:{self.rest_port}"


@contextlib.asynccontextmanager
async def own_daemon(
    file: Path,
    settings: Mapping[str, str],
    *,
    num_thread: int = 0,
    command: Sequence[str] = ("llamawire.engine",),
) -> AsyncIterator[OwnDaemon]:
    """Serves the GGUF `file` as MODEL; ends with the block. `command` is the module and its
    arguments. BenchError if it does not start; CliError without an engine, or for the file."""
    if importlib.util.find_spec("llamawire.engine") is None:
        raise CliError("this needs an installation of llamawire with its engine")
    with tempfile.TemporaryDirectory(prefix="llamawire-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env=environment(folder, settings),
        )  # fmt: skip
        assert process.stderr is not None
        reading = None
        try:
            daemon = await listening(process)
            reading = asyncio.create_task(read_away(process.stderr))
            await asyncio.to_thread(add_model, daemon, file, num_thread)
            yield daemon
        finally:
            await end(process)
            if reading is not None:
                await reading


def environment(folder: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, but for settings that are not the bench's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "LLAMAWIRE_"))}
    return kept | {
        "LLAMAWIRE_HOST": f"{_LOOPBACK}:0",
        "LLAMAWIRE_GRPC": f"{_LOOPBACK}:0",
        "LLAMAWIRE_MODELS": folder,
        "LLAMAWIRE_KEEP_ALIVE": "-1",
        **settings,
    }


async def listening(process: asyncio.subprocess.Process) -> OwnDaemon:
    assert process.stderr is not None
    last: deque[str] = deque(maxlen=LAST_LINES)

    async def read() -> OwnDaemon:
        assert process.stderr is not None
        async for line in process.stderr:
            last.append(line.decode(errors="replace").rstrip())
            if found := _LISTENS.search(last[-1]):
                return OwnDaemon(process.pid, int(found[1]), int(found[2]))
        raise BenchError(f"the daemon did not start: {last[-1] if last else 'it said nothing'}")

    try:
        return await asyncio.wait_for(read(), START_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise BenchError(f"the daemon did not start within {START_TIMEOUT_S:g} s") from None


async def read_away(log: asyncio.StreamReader) -> None:
    """So that the pipe is never full."""
    while await log.read(1 << 16):
        pass


async def end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


class Silence(Progress):
    """For work that takes a moment."""

    def update(self, status: str, digest: str = "", total: int = 0, completed: int = 0) -> None:
        pass


def add_model(daemon: OwnDaemon, file: Path, num_thread: int) -> None:
    client = Client(Connection.to(daemon.grpc_address, {}, ANONYMOUS))
    request = create_request(MODEL, parameters={"num_thread": num_thread})
    request.files[file.name] = digest_of(file)
    try:
        upload(client, file, request.files[file.name], Silence())
        send_create(client, request, Silence())
    except grpc.RpcError as error:
        raise BenchError(f"{file}: {Failure.of(error).message}") from error
    finally:
        client.close()
