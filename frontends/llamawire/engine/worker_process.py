"""Worker processes: started with exec on a private socket, kept warm, and surely ended.

A worker ends when its standard input closes, so it cannot outlive the daemon, whatever ends that.
Its standard error is kept: the last lines are the reason when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import sys
import tempfile
from collections import deque
from pathlib import Path

import grpc

from llamawire.engine.sandbox import Sandbox, worker_environment
from llamawire.session.v1 import worker_service_pb2_grpc as pb_grpc

__all__ = ["WorkerDied", "WorkerPool", "WorkerProcess"]

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
LAST_LINES = 20
LINE_BYTES_MAX = 64 << 10
SOCKET_PATH_BYTES_MAX = 100
MESSAGE_BYTES_MAX = 256 << 20
DEAD_CALLS_GRACE_S = 1.0
"""For calls to a worker that has ended to end by themselves, as failures and not as cancelled."""


class WorkerDied(Exception):
    """A worker process ended when it should not have; the message says how."""


class WorkerProcess:
    """A live worker and the channel to it."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path) -> None:
        self.process = process
        self.socket = socket
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.channel = grpc.aio.insecure_channel(
            f"unix:{socket}",
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
                ("grpc.use_local_subchannel_pool", 1),
                # Worker sockets are local: a failed connection is tried again at once.
                ("grpc.initial_reconnect_backoff_ms", 20),
                ("grpc.min_reconnect_backoff_ms", 20),
            ],
        )
        self.stub: pb_grpc.WorkerServiceAsyncStub = pb_grpc.WorkerServiceStub(self.channel)
        self.buried = asyncio.Event()
        """Set when it is known to be dead and another may have taken its place."""
        self._killed_because = ""
        self._stderr = asyncio.create_task(self._keep_stderr())

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def ready(self) -> None:
        """Returns when the worker answers; WorkerDied if it ends or is too slow."""
        exited = asyncio.ensure_future(self.process.wait())
        ready = asyncio.ensure_future(self.channel.channel_ready())
        try:
            await asyncio.wait(
                {exited, ready}, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not ready.done():
                raise WorkerDied(f"a worker process did not start: {await self.epitaph()}")
        finally:
            exited.cancel()
            ready.cancel()

    async def epitaph(self) -> str:
        """How it ended and the last line that it wrote."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._stderr), 1.0)
        code = self.process.returncode
        how = "is still running" if code is None else f"exit status {code}"
        if code is not None and code < 0:
            how = f"signal {-code}"
        reason = self._killed_because or (self.last_lines[-1] if self.last_lines else "")
        return f"{how}: {reason}" if reason else how

    async def stop(self) -> None:
        """Ends it: by closing its input, and with SIGKILL if that is not enough."""
        await self.channel.close(grace=None if self.is_alive else DEAD_CALLS_GRACE_S)
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except asyncio.TimeoutError:
            self.kill()
            await self.process.wait()
        self._stderr.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._stderr
        shutil.rmtree(self.socket.parent, ignore_errors=True)

    def kill(self, because: str = "") -> None:
        """Ends it at once, stopped or not; the epitaph will tell the reason."""
        self._killed_because = because
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def _keep_stderr(self) -> None:
        assert self.process.stderr is not None
        while True:
            try:
                line = await self.process.stderr.readline()
            except ValueError:  # longer than LINE_BYTES_MAX
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.last_lines.append(text)
            log.info("worker %d: %s", self.process.pid, text)


class WorkerPool:
    """Starts workers, and keeps `spare_count` of them ready, so that a cold load pays for the
    model only."""

    def __init__(self, spare_count: int, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._folder = Path(runtime_folder())
        self._numbers = itertools.count()
        self._spare_count = spare_count
        self._spares: deque[WorkerProcess] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Fills up the spares in the background."""
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    async def take(self, *, numa: bool = False) -> WorkerProcess:
        """A worker that answers and has no model; OSError or WorkerDied if none starts. NUMA is
        chosen at a worker's start, so such a worker is never a spare."""
        while self._spares and not numa:
            worker = self._spares.popleft()
            if worker.is_alive:
                self.prepare()
                return worker
            await worker.stop()
        try:
            return await self._start(numa)
        finally:
            # Not earlier: two that start at once take longer. A spare may have died unseen.
            self.prepare()

    def abandon(self) -> None:
        """For an end at once: workers end when their input closes, the folder is all that would
        stay."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def close(self) -> None:
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filling
        await asyncio.gather(*(worker.stop() for worker in self._spares))
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _fill(self) -> None:
        while len(self._spares) < self._spare_count:
            try:
                self._spares.append(await self._start(numa=False))
                log.info("worker %d waits for a model", self._spares[-1].pid)
            except (OSError, WorkerDied) as error:
                log.warning("no spare worker: %s", error)
                return

    async def _start(self, numa: bool) -> WorkerProcess:
        # A folder of its own, since it is the one in which the worker may make a socket.
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(mode=0o700)
        socket = folder / "worker.sock"
        arguments = [sys.executable, "-m", "llamawire.worker", "--socket", str(socket)]
        arguments += self._sandbox.arguments
        if numa:
            arguments.append("--numa")
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env=worker_environment(os.environ),
            # Ctrl-C in a terminal is for the daemon, which then ends its workers in order.
            start_new_session=True,
        )
        worker = WorkerProcess(process, socket)
        try:
            await worker.ready()
        except BaseException:
            worker.kill()
            await worker.stop()
            raise
        return worker


def runtime_folder() -> str:
    """A new 0700 folder whose paths are short enough for a socket's name."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if parent and os.access(parent, os.W_OK) and len(parent) < SOCKET_PATH_BYTES_MAX - 40:
            return tempfile.mkdtemp(prefix="llamawire-", dir=parent)
    raise OSError("no folder with a short path is writable for the workers' sockets")
