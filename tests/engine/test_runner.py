"""What a request is told that holds a model whose worker has ended for good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from llamawire.engine.job import Job
from llamawire.engine.options import Options
from llamawire.engine.runner import LoadSettings, Runner, WorkerGone

SETTINGS = LoadSettings(
    path=Path("m"), num_ctx=64, num_batch=8, num_parallel=1, num_gpu=0, main_gpu=0, use_mmap=None,
    num_thread=1, numa=False, kv_cache_type="f16", flash_attention=None, prefill_budget_ms=50,
    queue_max=1,
)  # fmt: skip


def runner() -> Runner:
    """One that never had a worker, which is how one ends too."""
    return Runner(
        "m", SETTINGS, cast("Any", None), build_id="", load_timeout_s=1, read_ahead_tokens=8,
        on_dead=lambda: None, on_serving=lambda serving: None,
    )  # fmt: skip


async def test_who_waits_for_a_worker_is_told_when_none_will_come() -> None:
    ended = runner()
    waiting = asyncio.create_task(ended.tokenize("x", add_special=False, parse_special=False))
    await asyncio.sleep(0)
    await ended.close()
    with pytest.raises(WorkerGone, match="the next request loads the model again"):
        await asyncio.wait_for(waiting, 5)


async def test_a_job_for_a_worker_that_has_ended_fails_at_once() -> None:
    ended = runner()
    await ended.close()
    run = ended.start(Job("x", Options()))
    with pytest.raises(WorkerGone):
        await asyncio.wait_for(run.updates(), 5)
