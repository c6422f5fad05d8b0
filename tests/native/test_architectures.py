"""Greedy tokens are those of llama.cpp by itself, for each kind of model and cache.

The reference is a program over llama.h alone (csrc/tests/greedy.cc), built from the same pin: each
prompt in one call, then token by token, in a context of its own.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamawire import native
from random_models import ARCHITECTURES, write_random_model

from .conftest import Client

Make = Callable[..., Client]
Prompts = list[list[int]]

ROOT = Path(__file__).parents[2]
TOKENS = 24
GENERATING = [name for name in ARCHITECTURES if name != "t5"]
RECURRENT = {"mamba2", "lfm2"}


def make_prompts() -> Prompts:
    """Twenty: lengths about the borders of units and windows; the second half begin alike."""
    draw = random.Random(7)
    lengths = [1, 2, 5, 17, 31, 33, 63, 64, 65, 150]
    alone = [[1, *(draw.randrange(3, 354) for _ in range(length - 1))] for length in lengths]
    beginning = [1, *(draw.randrange(3, 354) for _ in range(129))]
    alike = [beginning + [draw.randrange(3, 354) for _ in range(3 * n + 1)] for n in range(10)]
    return alone + alike


@pytest.fixture(scope="session")
def greedy() -> Callable[[Path, Prompts], list[list[int]]]:
    """llama.cpp's own answer to each prompt."""
    build = ROOT / "build" / "cmake"
    if not (build / "build.ninja").exists():
        pytest.skip("the reference is built in a checkout only, where build/cmake is")
    subprocess.run(["cmake", "--build", build, "--target", "llamawire_greedy"], check=True)

    def answer(model: Path, prompts: Prompts) -> list[list[int]]:
        text = "".join(" ".join(map(str, prompt)) + "\n" for prompt in prompts)
        command = [build / "llamawire_greedy", model, str(TOKENS)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]

    return answer


@pytest.mark.parametrize("architecture", GENERATING)
def test_greedy_tokens_are_llama_cpps(
    greedy: Any, folder: Path, make_client: Make, architecture: str
) -> None:
    path = write_random_model(folder / f"{architecture}.gguf", architecture)
    model = native.Model(str(path))
    prompts = make_prompts()
    expected = greedy(path, prompts)

    alone = make_client(model)
    for reuse in (False, True):
        options = {"num_predict": TOKENS, "cache_prompt": reuse, "reproducible": False}
        assert [alone.run(prompt, **options).tokens for prompt in prompts] == expected, reuse
    assert (alone.loop.stats["cached_tokens"] > 9 * 100) == (architecture not in RECURRENT)

    met = make_client(model, num_parallel=8)
    for reproducible in (True, False):
        ids = [
            met.submit(prompt, num_predict=TOKENS, reproducible=reproducible) for prompt in prompts
        ]
        assert [job.tokens for job in met.finish(*ids)] == expected, reproducible


@pytest.mark.parametrize("architecture", GENERATING)
def test_a_full_context_is_shifted_or_ends_the_answer(
    folder: Path, make_client: Make, architecture: str
) -> None:
    path = write_random_model(folder / f"{architecture}.gguf", architecture)
    client = make_client(native.Model(str(path)), num_ctx=64)
    job = client.run([1, 5, 9], num_predict=200)
    if client.loop.info["can_shift"]:
        assert (job.reason, len(job.tokens)) == ("length", 200) or job.reason == "stop"
    else:
        assert (job.reason, len(job.tokens)) == ("context", 61) or job.reason == "stop"
    assert client.loop.info["can_shift"] == (architecture not in RECURRENT | {"qwen2vl"})


def test_an_encoder_is_refused_in_words(folder: Path) -> None:
    model = native.Model(str(write_random_model(folder / "t5.gguf", "t5")))
    with pytest.raises(native.NativeError, match="has an encoder") as caught:
        native.Loop(model)
    assert caught.value.code == "INVALID_ARGUMENT"
