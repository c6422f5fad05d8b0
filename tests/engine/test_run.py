"""A run's journal, its coalescing, and the pause of a slow reader."""

from __future__ import annotations

import asyncio

import pytest

from llamawire.engine.errors import EngineError
from llamawire.engine.job import Accepted, Finished, Job, Piece, TokenLogprob
from llamawire.engine.options import Options
from llamawire.engine.run import Run


class Commands(list[str]):
    def run(self, read_ahead_tokens: int = 4) -> Run:
        return Run(
            1,
            Job("prompt", Options()),
            read_ahead_tokens=read_ahead_tokens,
            on_pause=lambda job_id: self.append("pause"),
            on_resume=lambda job_id: self.append("resume"),
        )


def finish(run: Run) -> None:
    run.finish("stop", generated=3, shifts=0, prompt_ns=1, generate_ns=2)


async def test_what_is_ready_comes_together() -> None:
    run = Commands().run()
    run.accept((1, 2), Accepted(2, 2, 0, 0))
    run.add_tokens([7], "a")
    run.add_tokens([8], "b")
    assert await run.updates() == [Accepted(2, 2, 0, 0), Piece("a", (7,)), Piece("b", (8,))]


async def test_logprobs_travel_with_the_text_of_their_tokens_and_an_end_has_none() -> None:
    run = Commands().run()
    one, two, end = (TokenLogprob(token, -1.0) for token in (b"a", b"b", b"</s>"))
    run.add_tokens([7], "", [one])
    run.add_tokens([8], "ab", [two])
    run.add_tokens([9], "", [end])
    finish(run)
    updates = await run.updates()
    assert updates[:-1] == [Piece("ab", (7, 8), logprobs=(one, two)), Piece("", (9,))]


async def test_tokens_held_back_travel_with_the_text_they_became() -> None:
    run = Commands().run()
    run.add_tokens([7], "")
    run.add_tokens([8], "é")
    assert await run.updates() == [Piece("é", (7, 8))]
    assert run.journal.generated_ids == [7, 8]
    assert run.journal.emitted_bytes == 2


async def test_tokens_of_a_stop_string_come_with_the_end() -> None:
    run = Commands().run()
    run.add_tokens([7], "")
    finish(run)
    piece, finished = await run.updates()
    assert piece == Piece("", (7,))
    assert isinstance(finished, Finished)


async def test_a_slow_reader_is_paused_and_goes_on_when_it_has_read() -> None:
    commands = Commands()
    run = commands.run(read_ahead_tokens=2)
    run.add_tokens([1], "a")
    assert commands == []
    run.add_tokens([2], "b")
    run.add_tokens([3], "c")
    assert commands == ["pause"]
    await run.updates()
    assert commands == ["pause", "resume"]


async def test_after_a_crash_the_reader_is_not_told_again_that_it_was_accepted() -> None:
    run = Commands().run()
    run.accept((1, 2), Accepted(2, 2, 0, 0))
    run.add_tokens([7], "a")
    run.survive()
    run.accept((), Accepted(0, 0, 0, 0))
    finish(run)
    accepted, _, finished = await run.updates()
    assert accepted == Accepted(2, 2, 0, 0)
    assert isinstance(finished, Finished)
    assert finished.resumed_count == 1


async def test_a_crash_counts_as_a_runs_own_while_it_is_in_the_batch_only() -> None:
    run = Commands().run()
    run.survive()
    run.accept((1, 2), Accepted(2, 2, 0, 0))
    run.survive()
    run.survive()  # it waited for the second worker's batch
    assert (run.journal.crashes, run.journal.crashes_waiting) == (1, 2)


async def test_what_was_ready_is_read_before_the_failure() -> None:
    run = Commands().run()
    run.add_tokens([7], "a")
    run.fail(EngineError("gone"))
    assert await run.updates() == [Piece("a", (7,))]
    with pytest.raises(EngineError, match="gone"):
        await run.updates()


async def test_a_reader_that_waits_is_woken() -> None:
    run = Commands().run()
    reading = asyncio.ensure_future(run.updates())
    await asyncio.sleep(0)
    run.add_tokens([7], "a")
    assert await reading == [Piece("a", (7,))]
