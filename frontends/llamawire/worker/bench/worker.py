"""The layer above the loop: a worker process and its session, as the daemon speaks it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

from llamawire.session.v1 import worker_service_pb2 as pb
from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc
from llamawire.worker.bench.recording import Recordings
from llamawire.worker.bench.work import Places, load_request, read_job

__all__ = ["play_in_worker"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
LINE_BYTES_MAX = 1 << 20


async def play_in_worker(path: str, places: Places) -> None:
    """Plays what comes on the standard input. grpc.RpcError for a file that cannot be loaded."""
    async with worker_stub() as stub:
        async for _ in stub.Load(load_request(path, places)):
            pass
        recordings = Recordings(sys.stdout)
        call = stub.Session(commands(places, recordings))
        recordings.ready()
        async for reply in call:
            at_s = time.perf_counter()
            for event in reply.events:
                take(event, at_s, recordings)


@contextlib.asynccontextmanager
async def worker_stub() -> AsyncIterator[pb_grpc.WorkerServiceAsyncStub]:
    """A worker of its own, which ends with the block or with this process."""
    with tempfile.TemporaryDirectory(prefix="llamawire-") as folder:
        socket = Path(folder) / "worker.sock"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "llamawire.worker", "--socket", str(socket),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
                await asyncio.wait_for(channel.channel_ready(), START_TIMEOUT_S)
                yield pb_grpc.WorkerServiceStub(channel)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()


async def commands(places: Places, recordings: Recordings) -> AsyncIterator[pb.SessionRequest]:
    """A job for each line; the end of the input ends the session."""
    async for line in await standard_input():
        started_s = time.perf_counter()
        job = read_job(line, places)
        recordings.begin(job.id, started_s)
        yield pb.SessionRequest(submit=job)


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def take(event: pb.JobEvent, at_s: float, recordings: Recordings) -> None:
    recording = recordings[event.job_id]
    kind = event.WhichOneof("event")
    if kind == "tokens":
        recording.messages.append((at_s, event.tokens.text))
    elif kind == "accepted":
        recording.prompt_count = len(event.accepted.prompt.ids)
    elif kind == "failed":
        recordings.fail(event.job_id, event.failed.message)
    elif kind == "finished":
        recording.ended_s = at_s
        recording.generated_count = event.finished.generated_count
        recording.prompt_ns = event.finished.prompt_ns
        recording.generate_ns = event.finished.generate_ns
        recordings.end(event.job_id)
