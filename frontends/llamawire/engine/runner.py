"""One loaded model: the worker that holds it, and the runs that stand in its batch.

The worker is expendable. When it dies, or stands still and is killed for it, another is started,
loads the same model, and gets every run again with its journal; a run that stood in the batch of
two crashes fails instead. Whoever holds the model sees a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import grpc

from llamawire.engine.crashes import CRASHES_PER_REQUEST_MAX, LoadCrashes, is_suspect, record
from llamawire.engine.errors import (
    EngineError,
    InvalidArgument,
    LoadFailed,
    ShuttingDown,
    WorkerCrashed,
)
from llamawire.engine.heartbeat import Heartbeat
from llamawire.engine.job import Accepted, Job
from llamawire.engine.loading import load_model, watched
from llamawire.engine.run import Run
from llamawire.engine.session import job_message, read_logprob
from llamawire.engine.worker_process import WorkerDied, WorkerPool, WorkerProcess
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["Keeper", "LoadSettings", "Runner", "WorkerGone"]

log = logging.getLogger(__name__)
T = TypeVar("T")

COMMANDS_MAX = 65536
TOKENIZE_TIMEOUT_S = 60.0
WORKER_END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """All that is fixed while a model is loaded."""

    path: Path
    num_ctx: int
    num_batch: int
    num_parallel: int
    num_gpu: int
    main_gpu: int
    use_mmap: bool | None
    num_thread: int
    numa: bool
    kv_cache_type: str
    flash_attention: bool | None
    prefill_budget_ms: int
    queue_max: int
    embeds: bool = False
    """Loaded to embed, without a decode loop."""
    adapters: tuple[Path, ...] = ()
    """LoRA adapters over the weights, all of them for every request."""
    projector: Path | None = None
    """Turns images into embeddings."""
    image_cache_bytes: int = 0
    """Of encoded images that are kept."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """What whoever keeps a runner tells it, and is told."""

    is_leased: Callable[[], bool]
    """Somebody holds the model, so a worker that dies is replaced."""
    on_dead: Callable[[], None]
    """The runner can serve no more, unasked."""
    on_serving: Callable[[bool], None]
    """Its worker is late or being replaced (False), or works again."""
    load_crashes: LoadCrashes
    """Outlives the runner."""


class Runner:
    """Serves one model."""

    def __init__(
        self,
        name: str,
        settings: LoadSettings,
        pool: WorkerPool,
        *,
        build_id: str,
        load_timeout_s: float,
        heartbeat_timeout_s: float,
        read_ahead_tokens: int,
        keeper: Keeper,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.loaded = pb.LoadedModel()
        self._pool = pool
        self._build_id = build_id
        self._load_timeout_s = load_timeout_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._read_ahead_tokens = read_ahead_tokens
        self._keeper = keeper
        self._on_death = on_death
        self._ids = itertools.count(1)
        self._runs: dict[int, Run] = {}
        self._commands: asyncio.Queue[pb.SessionRequest] = asyncio.Queue(COMMANDS_MAX)
        self._worker: WorkerProcess | None = None
        self._end: EngineError | None = None
        self._serving: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._closing = False

    # ---- life --------------------------------------------------------------------------------

    async def load(self) -> None:
        """Starts a worker with the model; LoadFailed or LoadHeldOff says why it could not."""
        await self._start_worker()
        self._serving = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """Ends the worker; runs that are left fail as the server's shutdown."""
        self._closing = True
        for run in list(self._runs.values()):
            run.fail(ShuttingDown())
        self._runs.clear()
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        await self._stop_worker()
        self._up.set()  # who waits for the worker learns that none will come

    async def _start_worker(self) -> None:
        """Until a worker has the model, or too many in a row have died over it."""
        crashes = self._keeper.load_crashes
        while not self._up.is_set():
            crashes.check(self.name)
            try:
                await self._try_worker()
            except WorkerDied as death:
                log.error("a worker died while it loaded %s: %s", self.name, death)
                crashes.add(str(death))
                self._on_death()
        crashes.clear()

    async def _try_worker(self) -> None:
        try:
            self._worker = await self._pool.take(numa=self.settings.numa)
        except OSError as error:
            raise LoadFailed(self.name, str(error)) from error
        try:
            self.loaded = await load_model(
                self.name,
                self._worker,
                load_message(self.settings, self._build_id),
                load_timeout_s=self._load_timeout_s,
                heartbeat=Heartbeat(self._heartbeat_timeout_s, lambda is_late: None),
            )
        except BaseException:
            await self._stop_worker()
            raise
        self._commands = asyncio.Queue(COMMANDS_MAX)
        self._up.set()

    async def _stop_worker(self) -> None:
        self._up.clear()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.buried.set()
            await worker.stop()

    # ---- runs --------------------------------------------------------------------------------

    def start(self, job: Job) -> Run:
        """Hands a job to the worker."""
        run = Run(
            next(self._ids),
            job,
            read_ahead_tokens=self._read_ahead_tokens,
            on_pause=lambda job_id: self._send(pb.SessionRequest(pause=job_id)),
            on_resume=lambda job_id: self._send(pb.SessionRequest(resume=job_id)),
        )
        if self._closing:
            run.fail(self._ending())
            return run
        self._runs[run.id] = run
        self._send(pb.SessionRequest(submit=job_message(run.id, job, run.journal)))
        return run

    def cancel(self, run: Run) -> None:
        """Ends a run in whatever phase it is; nothing more comes of it."""
        if self._runs.pop(run.id, None) is not None:
            self._send(pb.SessionRequest(cancel=run.id))

    def expire(self, run: Run) -> None:
        """Ends a run whose time is up, with what it has."""
        self.cancel(run)
        run.finish(
            "deadline",
            generated=len(run.journal.generated_ids),
            shifts=0,
            prompt_ns=0,
            generate_ns=0,
        )

    async def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        request = pb.TokenizeRequest(
            text=text, add_special=add_special, parse_special=parse_special
        )
        with worker_errors(self.name, "text"):
            reply = await self._ask(
                lambda worker: worker.stub.Tokenize(request, timeout=TOKENIZE_TIMEOUT_S)
            )
        return list(reply.tokens.ids)

    async def detokenize(self, ids: list[int], *, field: str) -> bytes:
        """`field` is what the ids came in, for the error of one that is none."""
        request = pb.DetokenizeRequest(tokens=pb.Tokens(ids=ids))
        with worker_errors(self.name, field):
            reply = await self._ask(
                lambda worker: worker.stub.Detokenize(request, timeout=TOKENIZE_TIMEOUT_S)
            )
        return bytes(reply.text)

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Vectors, of a worker that was loaded to embed."""
        try:
            return await self._ask(lambda worker: worker.stub.Embed(request))
        except grpc.aio.AioRpcError as error:
            raise embed_error(self.name, error) from error

    async def _ask(self, ask: Callable[[WorkerProcess], Awaitable[T]]) -> T:
        """What a worker answers; the next one is asked when one dies over the question."""
        for _ in range(CRASHES_PER_REQUEST_MAX):
            worker = await self._ready_worker()
            try:
                return await ask(worker)
            except asyncio.CancelledError:
                if self._closing and worker.buried.is_set():
                    raise ShuttingDown from None  # our own end has cancelled the call
                raise
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(worker.buried.wait(), WORKER_END_TIMEOUT_S)
        raise WorkerCrashed(self.name, "it ended while it computed the answer")

    async def _ready_worker(self) -> WorkerProcess:
        await self._up.wait()
        if self._worker is None:
            raise self._ending()
        return self._worker

    def _ending(self) -> EngineError:
        """Why this runner serves no more."""
        return self._end or WorkerGone(self.name)

    def _send(self, command: pb.SessionRequest) -> None:
        if self._up.is_set() and not self._closing:
            self._commands.put_nowait(command)

    # ---- the session -------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Keeps a session with a worker, and replaces the worker when it dies."""
        while True:
            await self._session()
            if self._closing:
                return
            self._keeper.on_serving(False)
            await self._bury()
            if not (self._runs or self._keeper.is_leased()):
                break
            try:
                await self._start_worker()
            except EngineError as error:
                self._end = error
                self._fail_all(error)
                break
            for run in self._runs.values():
                self._send(pb.SessionRequest(submit=job_message(run.id, run.job, run.journal)))
            self._keeper.on_serving(True)
        self._keeper.on_dead()

    async def _session(self) -> None:
        """One session, until the worker is gone."""
        assert self._worker is not None
        heartbeat = Heartbeat(
            self._heartbeat_timeout_s, lambda is_late: self._keeper.on_serving(not is_late)
        )
        call = self._worker.stub.Session(self._command_stream())
        try:
            async with watched(self._worker, heartbeat):
                async for reply in call:
                    if reply.beats:
                        heartbeat.beat(reply.beats)
                    for event in reply.events:
                        self._dispatch(event)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                log.error("session with the worker of %s: %s", self.name, error.details())
        finally:
            call.cancel()

    async def _command_stream(self) -> AsyncIterator[pb.SessionRequest]:
        commands = self._commands
        while True:
            yield await commands.get()

    def _dispatch(self, event: pb.JobEvent) -> None:
        run = self._runs.get(event.job_id)
        if run is None:
            return  # cancelled meanwhile
        kind = event.WhichOneof("event")
        if kind == "tokens":
            logprobs = [read_logprob(each) for each in event.tokens.logprobs]
            run.add_tokens(list(event.tokens.ids), event.tokens.text, logprobs)
        elif kind == "accepted":
            ids = tuple(event.accepted.prompt.ids)
            run.accept(
                ids,
                Accepted(
                    received_count=event.accepted.received_count,
                    kept_count=len(ids),
                    dropped_count=event.accepted.dropped_count,
                    cached_count=event.accepted.cached_count,
                ),
                tuple((span.image, span.begin) for span in event.accepted.image_spans),
            )
        elif kind == "finished":
            del self._runs[event.job_id]
            run.finish(
                event.finished.reason,
                generated=event.finished.generated_count,
                shifts=event.finished.shift_count,
                prompt_ns=event.finished.prompt_ns,
                generate_ns=event.finished.generate_ns,
            )
        elif kind == "failed":
            del self._runs[event.job_id]
            run.fail(
                EngineError(
                    event.failed.message,
                    code=event.failed.code,
                    reason=event.failed.reason,
                    metadata=event.failed.metadata,
                )
            )

    async def _bury(self) -> None:
        """Takes the dead worker away and decides who may go on."""
        assert self._worker is not None
        self._up.clear()
        self._worker.kill()
        await self._worker.process.wait()
        detail = await self._worker.epitaph()
        log.error("the worker of %s died with %d runs: %s", self.name, len(self._runs), detail)
        self._on_death()
        await self._stop_worker()
        for run in list(self._runs.values()):
            run.survive()
            if is_suspect(run):
                log.error("a request is given up: %s", record(self.name, run))
                del self._runs[run.id]
                run.fail(WorkerCrashed(self.name, detail))

    def _fail_all(self, error: EngineError) -> None:
        for run in self._runs.values():
            run.fail(error)
        self._runs.clear()


class WorkerGone(EngineError):
    """The worker died and the model is no longer in memory; whoever asked may ask again."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the worker of {model} has ended; the next request loads the model again",
            code="UNAVAILABLE",
            reason="WORKER_CRASHED",
            metadata={"model": model},
            retry_after_s=1.0,
        )


def embed_error(model: str, error: grpc.aio.AioRpcError) -> EngineError:
    """The engine's error for what `Embed` says."""
    message = error.details() or f"the worker of {model} did not answer"
    if error.code() == grpc.StatusCode.OUT_OF_RANGE:
        trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
        found = {key: str(value) for key, value in trailing}
        metadata = {key: found.get(key, "") for key in ("index", "received", "limit")}
        return InvalidArgument(message, reason="INPUT_TOO_LONG", **metadata)
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        if message.startswith("token id"):
            message = f"inputs: {message}"
        return InvalidArgument(message, field="inputs")
    return EngineError(message, code=error.code().name)


@contextlib.contextmanager
def worker_errors(model: str, field: str) -> Iterator[None]:
    """Turns the status of a unary call into the engine's error; `field` is what was sent."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        message = error.details() or f"the worker of {model} did not answer"
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            raise InvalidArgument(f"{field}: {message}", field=field) from error
        raise EngineError(message, code=error.code().name) from error


def load_message(settings: LoadSettings, build_id: str) -> pb.LoadRequest:
    return pb.LoadRequest(
        build_id=build_id,
        path=str(settings.path),
        num_parallel=settings.num_parallel,
        num_ctx=settings.num_ctx,
        num_batch=settings.num_batch,
        num_gpu=settings.num_gpu,
        main_gpu=settings.main_gpu,
        use_mmap=settings.use_mmap,
        num_thread=settings.num_thread,
        kv_cache_type=settings.kv_cache_type,
        flash_attention=settings.flash_attention,
        prefill_budget_ms=settings.prefill_budget_ms,
        queue_max=settings.queue_max,
        embeds=settings.embeds,
        adapters=map(str, settings.adapters),
        projector_path=str(settings.projector or ""),
        image_cache_bytes=settings.image_cache_bytes,
    )
