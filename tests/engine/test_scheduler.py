"""Who is in memory, who waits, who leaves: the scheduler over runners that only pretend."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llamawire.engine.errors import LoadFailed, LoadHeldOff, QueueFull, ShuttingDown
from llamawire.engine.options import Options
from llamawire.engine.runner import Keeper
from llamawire.engine.scheduler import Scheduler
from llamawire.engine.settings import Settings


class FakeRunner:
    """Loads when told to; `gate` holds loads back."""

    def __init__(self, settings: Any, keeper: Keeper, office: Office) -> None:
        self.settings = settings
        self.keeper = keeper
        self.office = office
        self.loaded = SimpleNamespace(
            weights_bytes=1,
            kv_bytes=1,
            projector_bytes=int(settings.projector is not None),
            vram_bytes=0,
            num_ctx=settings.num_ctx,
            num_parallel=1,
            num_thread=1,
            num_thread_prefill=2,
        )

    async def load(self) -> None:
        self.office.loads.append(self.settings)
        await self.office.gate.wait()
        if self.office.error:
            raise self.office.error

    async def close(self) -> None:
        self.office.closed.append(self.settings.path.name)


class Office:
    """A scheduler and a record of what it did."""

    def __init__(self, **settings: Any) -> None:
        self.loads: list[Any] = []
        self.closed: list[str] = []
        self.runners: list[FakeRunner] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.scheduler = Scheduler(Settings(**settings), self.make_runner)  # type: ignore[arg-type]

    def make_runner(self, model: Any, settings: Any, keeper: Keeper) -> FakeRunner:
        self.runners.append(FakeRunner(settings, keeper, self))
        return self.runners[-1]

    async def use(self, name: str = "a", keep_alive_s: float | None = None, **options: Any) -> None:
        async with self.lease(name, keep_alive_s, **options):
            pass

    def lease(self, name: str = "a", keep_alive_s: float | None = None, **options: Any) -> Any:
        given = {"num_ctx": 4096} | options
        return self.scheduler.lease(model(name), Options(**given), keep_alive_s)

    @property
    def names(self) -> list[str]:
        return [loaded.model.name.display for loaded in self.scheduler.loaded()]


def model(name: str, *, embeds: bool = False, projector: Path | None = None) -> Any:
    """`weights+adapter` is a model with an adapter."""
    files = tuple(map(Path, name.split("+")))
    return SimpleNamespace(
        name=SimpleNamespace(display=name),
        weights=files[0],
        projector=projector,
        adapters=files[1:],
        files=files if projector is None else (*files, projector),
        embeds=embeds,
    )


async def test_a_model_is_loaded_once_for_many() -> None:
    office = Office()
    await asyncio.gather(*(office.use() for _ in range(5)))
    assert len(office.loads) == 1
    assert office.names == ["a"]


async def test_a_model_with_an_adapter_is_another_one_in_memory() -> None:
    office = Office()
    for name in ("a", "a+x", "a", "a+x", "a+x+y"):
        await office.use(name)
    assert [(load.path.name, len(load.adapters)) for load in office.loads] == [
        ("a", 0), ("a", 1), ("a", 2),
    ]  # fmt: skip


async def test_weights_with_a_projector_are_loaded_apart_and_both_count() -> None:
    office = Office()
    for wanted in (model("a"), model("a", projector=Path("p")), model("a")):
        async with office.scheduler.lease(wanted, Options(num_ctx=1024), None):
            pass
    assert [load.projector for load in office.loads] == [None, Path("p")]
    assert {each.size_bytes for each in office.scheduler.loaded()} == {2, 3}


async def test_alternating_contexts_reload_once_at_most() -> None:
    office = Office()
    for _ in range(200):
        await office.use(num_ctx=2048)
        await office.use(num_ctx=8192)
        await office.use()
    assert [load.num_ctx for load in office.loads] == [2048, 8192]


async def test_a_model_that_embeds_has_one_stream() -> None:
    scheduler = Office(num_parallel=4).scheduler
    found = [scheduler.load_settings(model("a", embeds=e), Options()) for e in (False, True)]
    assert [(each.num_parallel, each.embeds) for each in found] == [(4, False), (1, True)]


async def test_a_model_that_embeds_is_loaded_again_for_longer_inputs() -> None:
    office = Office()
    for num_batch in (64, 512, 64):
        options = Options(num_ctx=512, num_batch=num_batch)
        async with office.scheduler.lease(model("a", embeds=True), options, None):
            pass
    assert [load.num_batch for load in office.loads] == [64, 512]


async def test_options_left_to_us_never_reload() -> None:
    office = Office()
    await office.use(num_thread=2, use_mmap=True)
    await office.use()
    assert len(office.loads) == 1
    await office.use(use_mmap=False)
    assert (office.loads[1].use_mmap, office.loads[1].num_thread) == (False, 2)


async def test_a_reload_waits_for_running_requests() -> None:
    office = Office()
    async with office.lease():
        reload = asyncio.create_task(office.use(num_ctx=8192))
        await asyncio.sleep(0.01)
        assert not office.closed
    await reload
    assert office.closed == ["a"]


async def test_zero_keep_alive_unloads_at_once_and_it_sticks() -> None:
    office = Office()
    await office.use(keep_alive_s=0)
    await asyncio.sleep(0.02)
    assert office.names == []
    await office.use(keep_alive_s=math.inf)
    await office.use()
    assert office.scheduler.loaded()[0].expires_at is None


async def test_a_server_that_keeps_nothing_still_serves() -> None:
    office = Office(keep_alive_s=0.0)
    await asyncio.gather(*(office.use() for _ in range(10)))
    await asyncio.sleep(0.02)
    assert office.names == []


async def test_room_is_made_by_the_idle_one_with_the_shortest_keep_alive() -> None:
    office = Office(max_loaded_models=2)
    await office.use("a", keep_alive_s=100)
    await office.use("b", keep_alive_s=50)
    await office.use("c")
    assert office.closed == ["b"]


async def test_a_busy_model_is_evicted_only_when_it_is_done() -> None:
    office = Office(max_loaded_models=1)
    async with office.lease("a"):
        other = asyncio.create_task(office.use("b"))
        await asyncio.sleep(0.01)
        assert office.names == []  # a is leaving, b is not there
        assert not office.closed
    await other
    assert office.names == ["b"]


async def test_the_queue_for_loads_is_bounded() -> None:
    office = Office(max_queue=2)
    office.gate.clear()
    waiting = [asyncio.create_task(office.use()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull, match="2 requests"):
        await office.use()
    office.gate.set()
    await asyncio.gather(*waiting)


async def test_a_load_goes_on_while_anybody_waits_for_it() -> None:
    office = Office()
    office.gate.clear()
    first, second = (asyncio.create_task(office.use()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    office.gate.set()
    await second
    assert len(office.loads) == 1


async def test_a_load_that_nobody_waits_for_is_cancelled() -> None:
    office = Office()
    office.gate.clear()
    only = asyncio.create_task(office.use())
    await asyncio.sleep(0.01)
    only.cancel()
    await asyncio.sleep(0.01)
    assert office.names == []
    office.gate.set()
    await office.use()
    assert len(office.loads) == 2


async def test_a_failed_load_is_told_and_the_next_request_tries_again() -> None:
    office = Office()
    office.error = LoadFailed("a", "no")
    with pytest.raises(LoadFailed):
        await office.use()
    office.error = None
    await office.use()
    assert office.names == ["a"]


async def test_a_dead_runner_is_forgotten() -> None:
    office = Office()
    await office.use()
    office.runners[0].keeper.on_dead()
    assert office.names == []
    await office.use()
    assert len(office.loads) == 2


async def test_a_runner_knows_whether_somebody_holds_its_model() -> None:
    office = Office()
    async with office.lease():
        assert office.runners[0].keeper.is_leased()
    assert not office.runners[0].keeper.is_leased()


async def test_a_model_that_is_held_off_takes_nobodys_place() -> None:
    office = Office(max_loaded_models=1)
    await office.use("bad", keep_alive_s=0)
    for _ in range(3):
        office.runners[0].keeper.load_crashes.add("signal 11")
    await office.use("good")
    with pytest.raises(LoadHeldOff, match="crashed 3 times in a row"):
        await office.use("bad")
    assert office.names == ["good"]


async def test_the_queue_for_streams_is_bounded() -> None:
    office = Office(max_queue=2)  # and one stream
    async with office.lease(), office.lease(), office.lease():
        with pytest.raises(QueueFull, match="2 requests"):
            await office.use()
        await office.use("b")
    await office.use()


async def test_a_draining_scheduler_refuses_new_requests_and_waits_for_old_ones() -> None:
    office = Office()
    office.gate.clear()
    loading = asyncio.create_task(office.use())
    await asyncio.sleep(0.01)
    draining = asyncio.create_task(office.scheduler.drain(5))
    await asyncio.sleep(0.01)
    assert not draining.done()
    with pytest.raises(ShuttingDown):
        await office.use()
    office.gate.set()
    await loading
    await draining
    await office.scheduler.close()
    assert office.closed == ["a"]


async def test_who_waits_for_a_load_when_the_server_ends_is_told_so() -> None:
    office = Office()
    office.gate.clear()
    loading = asyncio.create_task(office.use())
    await asyncio.sleep(0.01)
    await office.scheduler.drain(0)
    await office.scheduler.close()
    with pytest.raises(ShuttingDown):
        await loading
