"""Who stands still is found out, who only takes long is not."""

from __future__ import annotations

import asyncio
import math

from llamawire.engine.heartbeat import LOOKS, Heartbeat

TIMEOUT_S = 0.08


async def test_a_number_that_stands_still_is_a_standstill_and_late_before_that() -> None:
    told: list[bool] = []
    heartbeat = Heartbeat(TIMEOUT_S, told.append)
    heartbeat.beat(7)
    stopped = asyncio.create_task(heartbeat.stopped())
    while not stopped.done():
        heartbeat.beat(7)
        await asyncio.sleep(TIMEOUT_S / LOOKS)
    assert told == [True]


async def test_a_number_that_moves_is_life_and_ends_a_lateness() -> None:
    told: list[bool] = []
    is_late = asyncio.Event()

    def on_late(late: bool) -> None:
        told.append(late)
        is_late.set()

    heartbeat = Heartbeat(TIMEOUT_S, on_late)
    stopped = asyncio.create_task(heartbeat.stopped())
    await is_late.wait()
    heartbeat.beat(1)
    assert told == [True, False]
    assert not stopped.done()
    stopped.cancel()


async def test_time_in_which_we_did_not_run_ourselves_is_not_the_workers() -> None:
    heartbeat = Heartbeat(TIMEOUT_S, lambda is_late: None)
    stopped = asyncio.create_task(heartbeat.stopped())
    await asyncio.sleep(0)
    # As after SIGSTOP and SIGCONT of the daemon, or when the machine slept.
    end = asyncio.get_running_loop().time() + 3 * TIMEOUT_S
    while asyncio.get_running_loop().time() < end:
        pass
    await asyncio.sleep(0)
    assert not stopped.done()
    stopped.cancel()


async def test_without_a_limit_nobody_is_watched() -> None:
    stopped = asyncio.create_task(Heartbeat(math.inf, lambda is_late: None).stopped())
    await asyncio.sleep(0.01)
    assert not stopped.done()
    stopped.cancel()
