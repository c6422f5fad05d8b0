"""Each of the 21 options does something, seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2e.daemon import Daemon

SKY = "Why is the sky blue?"
WILD = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "num_predict": 24}


def text(daemon: Daemon, prompt: str = SKY, **options: Any) -> str:
    answer = daemon.generate(prompt=prompt, options={"num_predict": 32, "temperature": 0} | options)
    assert answer.status == 200, answer.body
    return str(answer.json["response"])


def texts(daemon: Daemon, **options: Any) -> set[str]:
    """Answers of several seeds."""
    return {text(daemon, **(WILD | options | {"seed": seed})) for seed in range(4)}


def test_seed_repeats_a_text_and_other_seeds_give_others(daemon: Daemon) -> None:
    assert text(daemon, **WILD, seed=7) == text(daemon, **WILD, seed=7)
    assert len(texts(daemon)) > 1


def test_temperature_zero_takes_the_best_token(daemon: Daemon) -> None:
    assert len(texts(daemon, temperature=0)) == 1


@pytest.mark.parametrize(
    "narrow", [{"top_k": 1}, {"top_p": 0.0001}, {"min_p": 1.0}, {"typical_p": 0.0001}]
)
def test_a_narrow_choice_leaves_nothing_to_chance(daemon: Daemon, narrow: dict[str, float]) -> None:
    assert len(texts(daemon, **narrow)) == 1


@pytest.mark.parametrize(
    "penalty",
    [{"repeat_penalty": 3.0}, {"presence_penalty": 20.0}, {"frequency_penalty": 20.0}],
)
def test_a_penalty_changes_the_text_unless_it_looks_back_on_nothing(
    daemon: Daemon, penalty: dict[str, float]
) -> None:
    plain = text(daemon)
    assert text(daemon, **penalty, repeat_last_n=-1) != plain
    assert text(daemon, **penalty, repeat_last_n=0) == plain


def test_penalize_newline_false_spares_the_newline(daemon: Daemon) -> None:
    # After a newline the endless model of newlines says another, unless it is penalized.
    penalty = {"presence_penalty": 200.0, "repeat_last_n": -1, "num_predict": 5}
    spared, penalized = (
        daemon.generate(
            model="newlines", prompt="\n", raw=True,
            options=penalty | {"temperature": 0, "penalize_newline": is_penalized},
        ).json["response"]
        for is_penalized in (False, True)
    )  # fmt: skip
    assert spared == "\n" * 5
    assert penalized.count("\n") < 2


def test_num_predict_ends_the_answer(daemon: Daemon) -> None:
    answer = daemon.generate(prompt=SKY, options={"num_predict": 3, "temperature": 0}).json
    assert (answer["eval_count"], answer["done_reason"]) == (3, "length")


def test_stop_cuts_the_answer(daemon: Daemon) -> None:
    plain = text(daemon)
    word = plain.split()[2]
    assert text(daemon, stop=[word]) == plain[: plain.index(word)]


@pytest.mark.parametrize(("num_keep", "count"), [(4, 18), (0, 16), (20, 26)])
def test_num_keep_decides_how_a_long_prompt_is_cut(
    daemon: Daemon, num_keep: int, count: int
) -> None:
    options = {"num_ctx": 32, "num_keep": num_keep, "num_predict": 1}
    answer = daemon.generate(prompt="sky " * 100, raw=True, options=options).json
    assert answer["prompt_eval_count"] == count
    assert answer["prompt_dropped_count"] > 0


def test_num_ctx_is_enforced_exactly(daemon: Daemon) -> None:
    options = {"num_ctx": 40, "num_predict": -1, "temperature": 2.0, "seed": 3}
    answer = daemon.generate(prompt="a", raw=True, shift=False, options=options).json
    if answer["done_reason"] == "length":
        assert answer["prompt_eval_count"] + answer["eval_count"] == 40
    else:
        assert answer["prompt_eval_count"] + answer["eval_count"] < 40


def test_num_batch_of_two_gives_the_same_answer(daemon: Daemon) -> None:
    assert text(daemon, num_batch=2) == text(daemon)


def test_num_ctx_shows_in_ps(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    text(daemon, num_ctx=512)
    assert daemon.request("GET", "/api/ps").json["models"][0]["context_length"] == 512
    text(daemon, num_ctx=1024)
    assert daemon.request("GET", "/api/ps").json["models"][0]["context_length"] == 1024
    text(daemon, num_ctx=256)  # smaller: no reload
    assert daemon.request("GET", "/api/ps").json["models"][0]["context_length"] == 1024


def test_use_mmap_decides_whether_the_file_is_mapped(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    text(daemon, use_mmap=True)
    assert daemon.busy_workers()
    text(daemon, use_mmap=False)
    assert not daemon.busy_workers()


def test_numa_reaches_the_start_of_the_worker(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    text(daemon, numa=True)
    assert any("--numa" in worker.cmdline() for worker in daemon.workers())


@pytest.mark.parametrize("option", [{"num_gpu": 0}, {"main_gpu": 1}, {"num_thread": 1}])
def test_what_is_fixed_at_load_time_reloads_the_model_once(
    start_daemon: Callable[..., Daemon], option: dict[str, int]
) -> None:
    daemon = start_daemon()
    first = text(daemon)
    before = {worker.pid for worker in daemon.busy_workers()}
    assert text(daemon, **option) == first
    after = {worker.pid for worker in daemon.busy_workers()}
    assert before.isdisjoint(after)
    text(daemon)  # leaves it to us: no reload back
    assert {worker.pid for worker in daemon.busy_workers()} == after
