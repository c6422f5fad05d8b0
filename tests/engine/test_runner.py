"""What a request is told that holds a model whose worker dies, now and then or for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from llamawire.engine.crashes import LoadCrashes
from llamawire.engine.errors import LoadHeldOff, WorkerCrashed
from llamawire.engine.job import Job
from llamawire.engine.options import Options
from llamawire.engine.runner import Keeper, LoadSettings, Runner, WorkerGone
from llamawire.engine.worker_process import WorkerDied
from llamawire.session.v1 import worker_service_pb2 as pb

SETTINGS = LoadSettings(
    path=Path("m"), num_ctx=64, num_batch=8, num_parallel=1, num_gpu=0, main_gpu=0, use_mmap=None,
    num_thread=1, numa=False, kv_cache_type="f16", flash_attention=None, prefill_budget_ms=50,
    queue_max=1,
)  # fmt: skip


class FakeCall:
    """A stream of replies that may end as that of a dead process does."""

    def __init__(self, replies: Callable[[], AsyncIterator[Any]]) -> None:
        self._replies = replies

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._replies()

    def cancel(self) -> None:
        pass


def gone() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing)


class FakeWorker:
    """A worker in this process. It dies over what its `dies_over` names."""

    def __init__(self, dies_over: str = "") -> None:
        self.dies_over = dies_over
        self.dead = asyncio.Event()
        self.buried = asyncio.Event()
        self.stub = self
        self.process = self
        if dies_over == "start":
            raise WorkerDied("signal 9")

    def die(self) -> grpc.aio.AioRpcError:
        self.dead.set()
        return gone()

    def Load(self, request: pb.LoadRequest) -> FakeCall:
        async def replies() -> AsyncIterator[pb.LoadResponse]:
            if self.dies_over == "load":
                raise self.die()
            if self.dies_over == "nothing, it stands still":
                await self.dead.wait()
                raise gone()
            yield pb.LoadResponse(loaded=pb.LoadedModel(num_ctx=64))

        return FakeCall(replies)

    def Session(self, commands: AsyncIterator[pb.SessionRequest]) -> FakeCall:
        async def replies() -> AsyncIterator[pb.SessionResponse]:
            await self.dead.wait()
            raise gone()
            yield

        return FakeCall(replies)

    async def Tokenize(self, request: pb.TokenizeRequest, timeout: float) -> pb.TokenizeResponse:
        if self.dies_over == "tokenize":
            raise self.die()
        return pb.TokenizeResponse(tokens=pb.Tokens(ids=[7]))

    async def wait(self) -> None:
        await self.dead.wait()

    async def epitaph(self) -> str:
        return f"signal 9 over {self.dies_over}"

    async def stop(self) -> None:
        self.dead.set()

    def kill(self, because: str = "") -> None:
        self.dead.set()


class FakePool:
    """Workers in this order; when there are no more, healthy ones."""

    def __init__(self, *dies_over: str) -> None:
        self.dies_over = list(dies_over)
        self.taken: list[FakeWorker] = []

    async def take(self, *, numa: bool) -> FakeWorker:
        self.taken.append(FakeWorker(self.dies_over.pop(0) if self.dies_over else ""))
        return self.taken[-1]


class Office:
    """A runner over these workers, and what it tells its keeper."""

    def __init__(self, *dies_over: str, is_leased: bool = True, heartbeat_s: float = 9.0) -> None:
        self.pool = FakePool(*dies_over)
        self.dead = asyncio.Event()
        self.serving: list[bool] = []
        self.crashes = LoadCrashes(60)
        self.runner = Runner(
            "m", SETTINGS, cast("Any", self.pool), build_id="", load_timeout_s=9,
            heartbeat_timeout_s=heartbeat_s, read_ahead_tokens=8,
            keeper=Keeper(lambda: is_leased, self.dead.set, self.serving.append, self.crashes),
        )  # fmt: skip

    async def tokenize(self) -> list[int]:
        work = self.runner.tokenize("x", add_special=False, parse_special=False)
        return await asyncio.wait_for(work, 5)


async def test_who_waits_for_a_worker_is_told_when_none_will_come() -> None:
    office = Office()
    waiting = asyncio.create_task(office.tokenize())
    await asyncio.sleep(0)
    await office.runner.close()
    with pytest.raises(WorkerGone, match="the next request loads the model again"):
        await waiting


async def test_a_job_for_a_worker_that_has_ended_fails_at_once() -> None:
    office = Office()
    await office.runner.close()
    run = office.runner.start(Job("x", Options(seed=1)))
    with pytest.raises(WorkerGone):
        await asyncio.wait_for(run.updates(), 5)


async def test_a_load_goes_on_with_the_next_worker() -> None:
    office = Office("start", "load")
    await office.runner.load()
    assert office.runner.loaded.num_ctx == 64
    await office.runner.close()


async def test_a_worker_that_stands_still_while_it_loads_is_replaced() -> None:
    office = Office("nothing, it stands still", heartbeat_s=0.08)
    await office.runner.load()
    assert len(office.pool.taken) == 2
    await office.runner.close()


async def test_three_crashes_of_a_load_are_an_error() -> None:
    office = Office("load", "load", "load")
    with pytest.raises(LoadHeldOff, match=r"3 times in a row \(signal 9 over load\)"):
        await office.runner.load()
    assert len(office.pool.taken) == 3


async def test_a_question_is_asked_again_of_the_next_worker_once() -> None:
    office = Office("tokenize", "", "tokenize", "tokenize")
    await office.runner.load()
    assert await office.tokenize() == [7]
    assert office.serving == [False, True]
    office.pool.taken[-1].die()
    await office.pool.taken[-1].buried.wait()
    with pytest.raises(WorkerCrashed):
        await office.tokenize()
    await office.runner.close()


async def test_a_death_that_nobody_sees_ends_the_runner() -> None:
    office = Office(is_leased=False)
    await office.runner.load()
    office.pool.taken[0].die()
    await asyncio.wait_for(office.dead.wait(), 5)
    assert len(office.pool.taken) == 1
    await office.runner.close()


async def test_a_model_that_does_not_come_up_again_says_why() -> None:
    office = Office("", "load", "load", "load")
    await office.runner.load()
    run = office.runner.start(Job("x", Options(seed=1)))
    office.pool.taken[0].die()
    with pytest.raises(LoadHeldOff):
        await asyncio.wait_for(run.updates(), 5)
    await asyncio.wait_for(office.dead.wait(), 5)
    await office.runner.close()
    with pytest.raises(LoadHeldOff):
        await office.tokenize()
