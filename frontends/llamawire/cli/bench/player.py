"""The layers below the public API: a process plays our requests, and tells what came when.

What we may not import is behind `python -m llamawire.worker.bench`. It keeps the times itself, so
the pipe between us is no part of what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

from llamawire.cli.bench.exchange import BenchError, Exchange, Message, Request, ServerTimes

__all__ = ["PlayerClient", "player", "read_told"]

MODULE = "llamawire.worker.bench"
START_TIMEOUT_S, STOP_TIMEOUT_S = 300.0, 10.0
LINE_BYTES_MAX = 64 << 20
ERROR_BYTES = 2000


@contextlib.asynccontextmanager
async def player(arguments: Sequence[str]) -> AsyncIterator[PlayerClient]:
    """A process that plays, and ends with the block. BenchError if it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, *arguments, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX,
    )  # fmt: skip
    client = PlayerClient(process)
    try:
        await client.ready()
        yield client
    finally:
        await client.close()


class PlayerClient:
    """Speaks to one process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Exchange]] = {}
        self._last_words = b""
        self._tasks = [asyncio.create_task(self._read_errors())]

    async def ready(self) -> None:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise BenchError(f"its process was not ready within {START_TIMEOUT_S:g} s") from None
        if not line:
            raise await self._ended()
        self._tasks.append(asyncio.create_task(self._read()))

    async def begin(self, request: Request) -> PlayerCall:
        assert self._process.stdin is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, **asdict(request)}).encode() + b"\n")
        return PlayerCall(answer)

    async def unload(self) -> None:
        raise BenchError("below the daemon nothing unloads a model")

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            answer = self._answers.pop(told["id"])
            try:
                answer.set_result(read_told(told))
            except BenchError as error:
                answer.set_exception(error)
        ended = await self._ended()
        for answer in self._answers.values():
            answer.set_exception(ended)

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._last_words = (self._last_words + line)[-ERROR_BYTES:]

    async def _ended(self) -> BenchError:
        await asyncio.wait({self._tasks[0]})
        words = self._last_words.decode(errors="replace").strip().splitlines()
        return BenchError(words[-1] if words else "its process has ended")


class PlayerCall:
    """An answer under way, of which nothing is known before it is whole."""

    def __init__(self, answer: asyncio.Future[Exchange]) -> None:
        self._answer = answer

    async def wait_messages(self, count: int) -> None:
        raise BenchError("below the daemon only whole answers are told")

    def hang_up(self) -> None:
        raise BenchError("below the daemon nobody hangs up")

    async def result(self) -> Exchange:
        return await self._answer


def read_told(told: dict[str, Any]) -> Exchange:
    """The answer in a line. BenchError if it is a failure."""
    if "error" in told:
        raise BenchError(told["error"])
    return Exchange(
        told["started_s"],
        told["ended_s"],
        [Message(at_s, text) for at_s, text in told["messages"]],
        prompt_count=told["prompt_count"],
        generated_count=told["generated_count"],
        server=ServerTimes(prompt_s=told["prompt_s"], generate_s=told["generate_s"]),
    )
