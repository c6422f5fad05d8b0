"""Isolated jobs: the same text alone, in any company, and after a crash at any token.

The distributions are near flat, so that the last bit of a logit soon decides about a token.
LLAMAWIRE_REPRODUCIBLE_RUNS says how many jobs are compared.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from llamawire import native

from .conftest import Client

Make = Callable[..., Client]
RUNS = int(os.environ.get("LLAMAWIRE_REPRODUCIBLE_RUNS", "6"))
SAMPLING: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def prompt_of(draw: random.Random) -> list[int]:
    return [1, *(draw.randrange(3, 350) for _ in range(draw.randrange(1, 200)))]


def test_an_isolated_job_says_the_same_alone_and_among_seven_others(
    slow: Any, make_client: Make
) -> None:
    alone = make_client(slow, num_ctx=1024)
    crowd = make_client(slow, num_ctx=1024, num_parallel=8)
    for seed in range(RUNS):
        draw = random.Random(seed)
        prompt, options = prompt_of(draw), {"num_predict": 30, "seed": seed, **SAMPLING}
        wanted = alone.run(prompt, isolated=True, **options).tokens
        others = [
            crowd.submit(
                prompt_of(draw),
                num_predict=draw.randrange(1, 50),
                isolated=draw.random() < 0.3,
                reproducible=draw.random() < 0.5,
                seed=other,
                **SAMPLING,
            )
            for other in range(7)
        ]
        job = crowd.submit(prompt, isolated=True, **options)
        crowd.finish(job, *others)
        assert crowd.jobs[job].tokens == wanted


def test_an_isolated_job_goes_on_after_a_crash_as_it_would_have(
    slow: Any, make_client: Make
) -> None:
    """The whole context is longer than what flash attention shares out among the threads."""
    for seed in range(max(RUNS // 3, 1)):
        draw = random.Random(seed)
        prompt = [1, *(draw.randrange(3, 350) for _ in range(450))]
        options = {"num_predict": 100, "seed": seed, "isolated": True, **SAMPLING}
        whole = make_client(slow, num_ctx=1024).run(prompt, **options)
        for count in (1, 60):
            rest = make_client(slow, num_ctx=1024, num_parallel=3).run(
                prompt, generated=whole.tokens[:count], **options
            )
            assert whole.tokens[:count] + rest.tokens == whole.tokens


def test_an_isolated_job_gives_its_prompt_to_the_cache_and_not_its_answer(
    model: Any, make_client: Make
) -> None:
    client = make_client(model)
    prompt = [1, *range(3, 102)]
    answer = client.run(prompt, num_predict=100, isolated=True).tokens
    assert client.run(prompt + answer, num_predict=1, isolated=True).cached == 64


def test_one_pool_of_cells_cannot_isolate(model: Any) -> None:
    loop = native.Loop(model, kv_unified=True)
    with pytest.raises(native.NativeError, match="isolated") as caught:
        loop.submit(1, [1, 2], isolated=True)
    assert caught.value.code == "INVALID_ARGUMENT"
