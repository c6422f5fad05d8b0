"""What is remembered of crashes, and when somebody is told no for it."""

from __future__ import annotations

import json

import pytest

from llamawire.engine.crashes import LoadCrashes, is_suspect, record
from llamawire.engine.errors import LoadHeldOff
from llamawire.engine.job import Accepted, Job
from llamawire.engine.options import Options
from llamawire.engine.run import Run


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_run() -> Run:
    options = Options(seed=5, stop=("secret",))
    return Run(
        1, Job("secret prompt", options), read_ahead_tokens=8,
        on_pause=lambda job_id: None, on_resume=lambda job_id: None,
    )  # fmt: skip


def test_three_crashes_in_a_row_hold_a_model_off_for_a_time_that_is_named() -> None:
    clock = Clock()
    crashes = LoadCrashes(60, clock)
    crashes.add("signal 11")
    crashes.add("signal 11")
    crashes.check("m")
    crashes.add("signal 6: assert")
    clock.now = 20.5
    with pytest.raises(LoadHeldOff, match=r"crashed 3 times in a row \(signal 6: assert\)") as held:
        crashes.check("m")
    assert "tried again in 40 s (LLAMAWIRE_LOAD_HOLD_OFF)" in str(held.value)
    assert held.value.retry_after_s == 40
    clock.now = 60
    crashes.check("m")


def test_after_the_wait_one_more_crash_holds_it_off_again_and_a_load_forgives_all() -> None:
    clock = Clock()
    crashes = LoadCrashes(60, clock)
    for _ in range(3):
        crashes.add("signal 11")
    clock.now = 61
    crashes.add("signal 11")
    with pytest.raises(LoadHeldOff, match="4 times"):
        crashes.check("m")
    clock.now = 122
    crashes.clear()
    crashes.add("signal 11")
    crashes.check("m")


def test_a_request_in_two_crashes_is_given_up_one_that_waited_only_after_four() -> None:
    run, waiting = make_run(), make_run()
    for crash in range(1, 5):
        run.accept((1,), Accepted(1, 1, 0, 0))
        run.survive()
        waiting.survive()
        assert is_suspect(run) == (crash >= 2)
        assert is_suspect(waiting) == (crash >= 4)


def test_the_record_of_a_request_has_numbers_and_no_text() -> None:
    run = make_run()
    run.accept((1, 2, 3), Accepted(3, 3, 0, 0))
    run.add_tokens([9], "secret answer")
    text = record("m", run)
    assert "secret" not in text
    found = json.loads(text)
    assert (found["model"], found["prompt_count"], found["generated_count"]) == ("m", 3, 1)
    assert found["options"]["seed"] == 5
