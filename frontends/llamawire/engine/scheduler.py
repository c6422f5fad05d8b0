"""Which models are in memory, and for how long.

A model is keyed by its files, so two names of the same share a worker. A request leases the slot
of its model; the last lease given back starts the keep-alive clock. One model is loaded at a
time, in a task of its own that the waiting requests share: it is cancelled only when all of them
have gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from llamawire.engine.catalog import ServedModel
from llamawire.engine.crashes import LoadCrashes
from llamawire.engine.errors import QueueFull, ShuttingDown
from llamawire.engine.options import Options
from llamawire.engine.runner import Keeper, LoadSettings, Runner
from llamawire.engine.settings import Settings

__all__ = ["LoadedModel", "MakeRunner", "Scheduler"]

log = logging.getLogger(__name__)

CLAIM_S = 5.0
"""How long a model that has just been loaded waits for the request that asked for it."""

LOAD_CRASHES_MAX = 1024
"""Models whose crashes are remembered; the first is forgotten."""

AUTOMATIC = {"num_gpu": -1, "main_gpu": 0, "use_mmap": None, "num_thread": 0, "numa": False}
"""What these options are where a request does not say."""


Files = tuple[Path, ...]
"""What a model in memory is known by."""


class MakeRunner(Protocol):
    """Makes a runner that has not loaded yet."""

    def __call__(
        self,
        model: ServedModel,
        settings: LoadSettings,
        keeper: Keeper,
    ) -> Runner: ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, as `ps` shows it. `expires_at` is Unix time, None for never.

    `requests` are those under way, waiting ones among them.
    """

    model: ServedModel
    size_bytes: int
    size_vram_bytes: int
    num_ctx: int
    num_parallel: int
    num_thread: int
    num_thread_prefill: int
    requests: int
    expires_at: float | None


class Slot:
    """One model in memory, and who uses it."""

    def __init__(self, model: ServedModel, runner: Runner, keep_alive_s: float) -> None:
        self.model = model
        self.runner = runner
        self.keep_alive_s = keep_alive_s
        self.leases = 0
        self.is_leaving = False
        self.idle = asyncio.Event()
        self.idle.set()
        self.idle_since = time.time()
        self.timer: asyncio.TimerHandle | None = None

    @property
    def size_bytes(self) -> int:
        loaded = self.runner.loaded
        return loaded.weights_bytes + loaded.projector_bytes + loaded.kv_bytes

    @property
    def expires_at(self) -> float | None:
        if math.isinf(self.keep_alive_s):
            return None
        return (time.time() if self.leases else self.idle_since) + self.keep_alive_s

    def leases_max(self, max_queue: int) -> int:
        """A request a stream, and as many as may wait for one."""
        return self.runner.loaded.num_parallel + max_queue

    def satisfies(self, wanted: LoadSettings) -> bool:
        """Whether a request can run here: a smaller context never asks for a reload, nor does an
        option that the request leaves to us."""
        have = self.runner.settings
        if wanted.embeds and wanted.num_batch > have.num_batch:
            return False  # a whole input has to fit in it
        return wanted.num_ctx <= have.num_ctx and all(
            getattr(wanted, name) in (automatic, getattr(have, name))
            for name, automatic in AUTOMATIC.items()
        )


class Scheduler:
    """Leases loaded models to requests. Everything happens on the daemon's event loop."""

    def __init__(
        self,
        settings: Settings,
        make_runner: MakeRunner,
        *,
        check_files: Callable[[ServedModel], None] = lambda model: None,
        on_serving: Callable[[ServedModel, bool], None] = lambda model, serving: None,
    ) -> None:
        self._settings = settings
        self._make_runner = make_runner
        self._check_files = check_files
        self._on_serving = on_serving
        self._slots: dict[Files, Slot] = {}
        self._one_load = asyncio.Lock()
        self._loads: dict[tuple[Files, LoadSettings], Load] = {}
        self._load_crashes: dict[Files, LoadCrashes] = {}
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._closed = False

    # ---- requests ----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def lease(
        self, model: ServedModel, options: Options, keep_alive_s: float | None
    ) -> AsyncIterator[Runner]:
        """The model's runner, loaded first if need be; given back at the end of the block.

        QueueFull when `max_queue` requests wait for a load already, or for a stream of the model.
        """
        if self._draining:
            raise ShuttingDown
        with self._counted():
            slot = await self._slot(model, self.load_settings(model, options))
            async with self._held(slot, keep_alive_s):
                yield slot.runner

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """One more request that a drain waits for."""
        self._requests += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._requests -= 1
            if self._requests == 0:
                self._idle.set()

    @contextlib.asynccontextmanager
    async def _held(self, slot: Slot, keep_alive_s: float | None) -> AsyncIterator[None]:
        if slot.leases >= slot.leases_max(self._settings.max_queue):
            raise QueueFull(self._settings.max_queue)
        slot.leases += 1
        slot.idle.clear()
        if slot.timer is not None:
            slot.timer.cancel()
        if keep_alive_s is not None:
            slot.keep_alive_s = keep_alive_s
        try:
            yield
        finally:
            slot.leases -= 1
            if slot.leases == 0:
                self._rest(slot)

    async def unload(self, model: ServedModel) -> bool:
        """Unloads as soon as the running requests end; whether it was in memory."""
        slot = self._slots.get(model.files)
        if slot is None:
            return False
        slot.keep_alive_s = 0.0
        if slot.leases == 0:
            await self._remove(slot)
        return True

    def loaded(self) -> list[LoadedModel]:
        """Latest expiry first."""
        models = [
            LoadedModel(
                model=slot.model,
                size_bytes=slot.size_bytes,
                size_vram_bytes=slot.runner.loaded.vram_bytes,
                num_ctx=slot.runner.loaded.num_ctx,
                num_parallel=slot.runner.loaded.num_parallel,
                num_thread=slot.runner.loaded.num_thread,
                num_thread_prefill=slot.runner.loaded.num_thread_prefill,
                requests=slot.leases,
                expires_at=slot.expires_at,
            )
            for slot in self._slots.values()
            if not slot.is_leaving
        ]
        return sorted(models, key=lambda each: each.expires_at or math.inf, reverse=True)

    async def drain(self, timeout_s: float) -> None:
        """Refuses new requests and waits for those there are, at most so long."""
        self._draining = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def close(self) -> None:
        """Ends what still runs or waits, as ShuttingDown, and every worker."""
        self._draining = self._closed = True
        for load in list(self._loads.values()):
            load.task.cancel()
        await asyncio.gather(*(load.task for load in self._loads.values()), return_exceptions=True)
        await asyncio.gather(*(self._remove(slot) for slot in list(self._slots.values())))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- loading -----------------------------------------------------------------------------

    def load_settings(self, model: ServedModel, options: Options) -> LoadSettings:
        """What a load for this request would fix."""
        settings = self._settings
        return LoadSettings(
            path=model.weights,
            adapters=model.adapters,
            num_ctx=options.num_ctx,
            num_batch=options.num_batch,
            num_parallel=1 if model.embeds else settings.num_parallel,
            num_gpu=max(options.num_gpu, -1),
            main_gpu=options.main_gpu,
            use_mmap=options.use_mmap,
            num_thread=options.num_thread,
            numa=options.numa,
            kv_cache_type=settings.kv_cache_type,
            flash_attention=settings.flash_attention,
            prefill_budget_ms=settings.prefill_budget_ms,
            # The daemon counts; a new worker gets all of a dead one's at once.
            queue_max=settings.max_queue + settings.num_parallel,
            embeds=model.embeds,
            projector=model.projector,
            image_cache_bytes=settings.image_cache_bytes,
        )

    async def _slot(self, model: ServedModel, wanted: LoadSettings) -> Slot:
        while True:
            if self._closed:
                raise ShuttingDown
            slot = self._slots.get(model.files)
            if slot is not None and not slot.is_leaving and slot.satisfies(wanted):
                return slot
            if self._waiting >= self._settings.max_queue:
                raise QueueFull(self._settings.max_queue)
            self._waiting += 1
            try:
                slot = await self._load_shared(model, wanted)
            finally:
                self._waiting -= 1
            if not slot.is_leaving:
                return slot

    async def _load_shared(self, model: ServedModel, wanted: LoadSettings) -> Slot:
        """Joins the load that is under way for the same thing, or starts one."""
        key = (model.files, wanted)
        load = self._loads.get(key)
        if load is None:
            load = self._loads[key] = Load(asyncio.create_task(self._load(model, wanted)))
            load.task.add_done_callback(lambda task: self._loads.pop(key, None))
        load.waiters += 1
        try:
            return await asyncio.shield(load.task)
        except asyncio.CancelledError:
            if self._closed and load.task.done():
                raise ShuttingDown from None  # it is the load that was cancelled, by `close`
            raise
        finally:
            load.waiters -= 1
            if load.waiters == 0 and not load.task.done():
                self._loads.pop(key, None)
                load.task.cancel()

    async def _load(self, model: ServedModel, wanted: LoadSettings) -> Slot:
        key = model.files
        self._crashes(key).check(model.name.display)
        async with self._one_load:
            slot = self._slots.get(key)
            if slot is not None:
                if not slot.is_leaving and slot.satisfies(wanted):
                    return slot
                wanted = merged(wanted, slot.runner.settings)
                slot.is_leaving = True
                await slot.idle.wait()
                await self._remove(slot)
            await asyncio.to_thread(self._check_files, model)
            await self._make_room()
            runner = self._make_runner(model, wanted, self._keeper(model))
            await runner.load()
            slot = self._slots[key] = Slot(model, runner, self._settings.keep_alive_s)
            claim_s = max(CLAIM_S, slot.keep_alive_s)
            if not math.isinf(claim_s):
                slot.timer = asyncio.get_running_loop().call_later(claim_s, self._expire, slot)
            self._on_serving(model, True)
            return slot

    def _keeper(self, model: ServedModel) -> Keeper:
        key = model.files

        def is_leased() -> bool:
            slot = self._slots.get(key)
            return slot is not None and slot.leases > 0

        return Keeper(
            is_leased=is_leased,
            on_dead=lambda: self._forget_dead(key),
            on_serving=lambda serving: self._on_serving(model, serving),
            load_crashes=self._crashes(key),
        )

    def _crashes(self, key: Files) -> LoadCrashes:
        """The record of a model's crashes, which outlives its time in memory."""
        if key not in self._load_crashes:
            if len(self._load_crashes) >= LOAD_CRASHES_MAX:
                del self._load_crashes[next(iter(self._load_crashes))]
            self._load_crashes[key] = LoadCrashes(self._settings.load_hold_off_s)
        return self._load_crashes[key]

    async def _make_room(self) -> None:
        """Evicts until one more model may come in: shortest keep-alive first, idle ones before."""
        while len(self._slots) >= self._settings.max_loaded_models:
            slots = sorted(self._slots.values(), key=lambda slot: slot.keep_alive_s)
            slot = next((slot for slot in slots if slot.leases == 0), slots[0])
            slot.is_leaving = True
            await slot.idle.wait()
            await self._remove(slot)

    # ---- leaving -----------------------------------------------------------------------------

    def _rest(self, slot: Slot) -> None:
        """Nobody uses the slot: start its keep-alive clock, or end it."""
        slot.idle.set()
        slot.idle_since = time.time()
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        if slot.is_leaving or math.isinf(slot.keep_alive_s):
            return  # whoever marked it waits for it, or it stays for ever
        loop = asyncio.get_running_loop()
        slot.timer = loop.call_later(slot.keep_alive_s, self._expire, slot)

    def _expire(self, slot: Slot) -> None:
        if slot.leases == 0 and not slot.is_leaving:
            task = asyncio.create_task(self._remove(slot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _remove(self, slot: Slot) -> None:
        slot.is_leaving = True
        if slot.timer is not None:
            slot.timer.cancel()
        key = slot.model.files
        if self._slots.get(key) is slot:
            del self._slots[key]
            self._on_serving(slot.model, True)  # not in memory, but it can be served
        await slot.runner.close()

    def _forget_dead(self, key: Files) -> None:
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        slot.is_leaving = True
        log.warning("%s is no longer in memory: its worker died", slot.model.name.display)
        task = asyncio.create_task(slot.runner.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(slots=True)
class Load:
    """A load under way and how many requests wait for it."""

    task: asyncio.Task[Slot]
    waiters: int = 0


def merged(wanted: LoadSettings, loaded: LoadSettings) -> LoadSettings:
    """A reload never takes context away, so that two clients with two sizes reload once at most."""
    return replace(
        wanted,
        num_ctx=max(wanted.num_ctx, loaded.num_ctx),
        num_batch=max(wanted.num_batch, loaded.num_batch),
        **{
            name: getattr(loaded, name)
            for name, automatic in AUTOMATIC.items()
            if getattr(wanted, name) == automatic
        },
    )
