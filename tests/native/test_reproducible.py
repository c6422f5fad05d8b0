"""Seeds, the prefix cache and resumed jobs: what must come out equal."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Client, Job

Make = Callable[..., Client]
SAMPLING = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def long_prompt(seed: int, length: int) -> list[int]:
    draw = random.Random(seed)
    return [1, *(draw.randrange(3, 350) for _ in range(length - 1))]


def test_a_seed_gives_the_same_text_again(model: Any, make_client: Make) -> None:
    client = make_client(model)
    first = client.run([1, 300], num_predict=50, seed=7, **SAMPLING)
    assert client.run([1, 300], num_predict=50, seed=7, **SAMPLING).tokens == first.tokens
    assert client.run([1, 300], num_predict=50, seed=8, **SAMPLING).tokens != first.tokens
    assert (
        make_client(model).run([1, 300], num_predict=50, seed=7, **SAMPLING).tokens == first.tokens
    )


@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**63, 2**64 + 5])
def test_any_integer_is_a_seed(model: Any, make_client: Make, seed: int) -> None:
    assert make_client(model).run([1], num_predict=3, seed=seed, temperature=1.0).reason == "length"


@pytest.mark.parametrize("length", [5, 64, 65, 200, 449])
def test_cold_and_warm_give_the_same_text_twenty_times_of_twenty(
    model: Any, make_client: Make, length: int
) -> None:
    """A near-flat distribution: the last bit of a logit soon decides about a token."""
    client = make_client(model, num_ctx=512)
    for seed in range(20):
        prompt = long_prompt(seed, length)
        options = {"num_predict": 60, "seed": seed, **SAMPLING}
        cold = client.run(prompt, cache_prompt=False, **options)
        warm = client.run(prompt, **options)
        assert warm.tokens == cold.tokens
        assert cold.cached == 0
        assert warm.cached == (length - 1) // 64 * 64


def test_a_prefix_of_another_job_changes_no_text(slow: Any, make_client: Make) -> None:
    """Flash attention and matrix kernels of a larger model; the reused part ends anywhere."""
    client = make_client(slow, num_ctx=1024)
    stem = long_prompt(1, 400)
    for seed, kept in enumerate((400, 399, 64, 63, 130)):
        prompt = stem[:kept] + long_prompt(50 + seed, 90)
        options = {"num_predict": 20, "seed": seed, **SAMPLING}
        cold = make_client(slow, num_ctx=1024).run(prompt, **options)
        client.run(stem, num_predict=5)
        warm = client.run(prompt, **options)
        assert warm.cached == kept // 64 * 64
        assert warm.tokens == cold.tokens


def test_what_others_left_in_the_cache_changes_no_text(model: Any, make_client: Make) -> None:
    """Prompts in small chunks, in company, shifted, cut short: the exact part stays exact."""
    draw = random.Random(3)
    client = make_client(model, num_parallel=4, num_ctx=512, prefill_budget_ms=0)
    stem = long_prompt(9, 300)
    for seed in range(20):
        ids = [
            client.submit(
                stem[: draw.randrange(1, 300)] + long_prompt(seed + n, 40),
                num_predict=draw.randrange(1, 250),
                num_batch=draw.choice([0, 64, 128]),
                reproducible=draw.random() < 0.5,
            )
            for n in range(draw.randrange(1, 6))
        ]
        client.finish(*ids)
        prompt = stem[: draw.randrange(2, 300)]
        options = {"num_predict": 60, "seed": seed, **SAMPLING}
        warm = client.run(prompt, **options)
        cold = make_client(model).run(prompt, **options)
        assert warm.tokens == cold.tokens
    assert client.loop.stats["cached_tokens"] > 0


def test_the_next_turn_of_a_chat_reuses_the_answer_unless_it_must_be_reproducible(
    model: Any, make_client: Make
) -> None:
    prompt = long_prompt(4, 100)
    for reproducible, cached in ((True, 64), (False, 199)):
        client = make_client(model)
        answer = client.run(prompt, num_predict=100).tokens
        turn = prompt + answer + long_prompt(5, 30)
        assert client.run(turn, num_predict=1, reproducible=reproducible).cached == cached


def test_a_running_job_shares_its_prefix(slow: Any, make_client: Make) -> None:
    client = make_client(slow, num_ctx=1024)
    stem = long_prompt(1, 700)
    running = client.submit(stem, num_predict=100000)
    client.until(lambda: len(client.jobs[running].tokens) > 0)
    job = client.run([*stem, 5, 6, 7], num_predict=3)
    assert job.cached == 640
    assert client.jobs[running].last is None


def test_penalties_and_filters_are_reproducible_too(model: Any, make_client: Make) -> None:
    options = {
        "temperature": 0.9, "top_k": 30, "top_p": 0.95, "min_p": 0.02, "typical_p": 0.9,
        "repeat_penalty": 1.2, "presence_penalty": 0.1, "frequency_penalty": 0.1,
        "repeat_last_n": -1, "penalize_newline": False, "num_predict": 80, "seed": 3,
    }  # fmt: skip
    client = make_client(model)
    assert client.run([1, 300], **options).outcome == client.run([1, 300], **options).outcome


def test_a_repeat_penalty_ends_a_loop(model: Any, make_client: Make) -> None:
    client = make_client(model)
    plain = client.run([1, 300], num_predict=100).tokens
    penalized = client.run([1, 300], num_predict=100, repeat_penalty=5.0, repeat_last_n=100).tokens
    assert len(set(penalized)) == 100
    assert len(set(plain)) < 100


# ---- resume --------------------------------------------------------------------------------------


def cut(job: Job, count: int) -> dict[str, Any]:
    """What a journal holds after `count` tokens."""
    text = b"".join(job.pieces[:count])
    return {"generated": job.tokens[:count], "emitted_bytes": len(text)}


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 0.7, "seed": 5}], ids=["greedy", "seeded"]
)
def test_a_job_resumed_at_any_token_gives_the_same_tokens_and_bytes(
    model: Any, make_client: Make, sampling: dict[str, Any]
) -> None:
    client = make_client(model)
    options = {"num_predict": 60, "stop": ["zz", "\N{REPLACEMENT CHARACTER}#"], **sampling}
    whole = client.run([1, 300, 305], **options)
    for count in range(len(whole.tokens)):
        rest = client.run([1, 300, 305], **options, **cut(whole, count))
        assert whole.tokens[:count] + rest.tokens == whole.tokens
        assert b"".join(whole.pieces[:count]) + rest.text == whole.text
        assert rest.reason == whole.reason
        assert rest.last.generated_count == len(whole.tokens)
        assert rest.last.prompt_count == 3


def test_a_job_resumed_at_any_byte_loses_and_repeats_none(echo: Any, make_client: Make) -> None:
    client = make_client(echo)
    prompt = [1, 260 + ord("a") - 33]
    options: dict[str, Any] = {"stop": ["mnX", "wxy"]}
    whole = client.run(prompt, **options)
    for count in range(len(whole.tokens)):
        delivered = b"".join(whole.pieces[:count])
        for emitted in range(len(delivered) + 1):
            generated = whole.tokens[:count]
            rest = client.run(prompt, generated=generated, emitted_bytes=emitted, **options)
            assert delivered[:emitted] + rest.text == whole.text


def test_shifts_are_made_again(model: Any, make_client: Make) -> None:
    client = make_client(model)
    options = {"num_ctx": 32, "num_predict": 100}
    whole = client.run([1, 300], **options)
    assert whole.last.shift_count > 3
    for count in (10, 30, 31, 32, 50, 99):
        rest = client.run([1, 300], **options, **cut(whole, count))
        assert rest.last.shift_count == whole.last.shift_count
        assert rest.last.generated_count == 100
        assert len(rest.tokens) == 100 - count


def test_a_job_that_was_over_is_over_at_once(model: Any, make_client: Make) -> None:
    client = make_client(model)
    whole = client.run([1, 300], num_predict=10)
    rest = client.run([1, 300], num_predict=10, generated=whole.tokens, emitted_bytes=0)
    assert (rest.tokens, rest.text, rest.reason) == ([], whole.text, "length")
