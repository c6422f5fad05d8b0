"""Greedy tokens behind pictures are those of mtmd's own helper, causal or not.

The reference is a program over mtmd.h and its helper alone (csrc/tests/greedy_image.cc), built from
the same pin: each prompt in a context of its own. Some projectors (gemma3's) want the embeddings of
a picture to see each other whole, others read it like text.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gguf_files import tiny_gemma3_projector, tiny_llama, tiny_projector

from .conftest import Client
from .test_images import picture, prompt

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

ROOT = Path(__file__).parents[2]
TOKENS = 16
MARKER = "<__media__>"
PROMPTS = [
    f"See {MARKER} now",
    f"{MARKER} x",  # at the very end of a prompt mtmd asks for no logits
    f"{MARKER}{MARKER} twice",
    f"{'Some words in front of it. ' * 9}{MARKER} and{' some behind' * 20}",
    f"One {MARKER} and another {MARKER} and words",
]
PROJECTORS = {
    "mlp": lambda path: tiny_projector(path, image_size=64, patch_size=8),
    "gemma3": tiny_gemma3_projector,
}


@pytest.fixture(scope="session")
def reference() -> Callable[[Path, Path, Any], list[list[int]]]:
    """mtmd's own answer to each prompt."""
    build = ROOT / "build" / "cmake"
    if not (build / "build.ninja").exists():
        pytest.skip("the reference is built in a checkout only, where build/cmake is")
    target = "llamawire_greedy_image"
    subprocess.run(["cmake", "--build", build, "--target", target], check=True)

    def answer(model: Path, projector: Path, pixels: Any) -> list[list[int]]:
        height, width, _ = pixels.shape
        file = model.parent / "pixels"
        file.write_bytes(pixels.tobytes())
        command = [build / target, model, projector, TOKENS, file, width, height]
        done = subprocess.run(
            [str(word) for word in command],
            input="\n".join(PROMPTS) + "\n", capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]

    return answer


@pytest.mark.parametrize("kind", PROJECTORS)
def test_greedy_tokens_behind_a_picture_are_mtmds(
    reference: Any, folder: Path, make_client: Callable[..., Client], kind: str
) -> None:
    path = tiny_llama(folder / "sees.gguf", blocks=6)
    projector = PROJECTORS[kind](folder / f"{kind}.gguf")
    pixels = picture(3, 64, 64)
    expected = reference(path, projector, pixels)
    assert len({tuple(tokens) for tokens in expected}) == len(PROMPTS)

    model = native.Model(str(path))
    encoder = native.ImageEncoder(model, str(projector))
    assert encoder.info["is_causal"] == (kind != "gemma3")
    image = encoder.encode(b"p", pixels)
    options = {"num_predict": TOKENS, "temperature": 0.0}
    context = {"num_ctx": 1024, "image_chunk_max": 0 if encoder.info["is_causal"] else 64}

    def parts(text: str) -> list[Any]:
        pieces = text.split(MARKER)
        return [each for pair in itertools.zip_longest(pieces, [image] * (len(pieces) - 1))
                for each in pair if isinstance(each, native.Image) or each]  # fmt: skip

    def submitted(client: Client, text: str) -> int:
        ids, spans = prompt(model, *parts(text))
        return client.submit(ids, images=spans, **options)

    # Alone, with and without what an earlier prompt left; then all of them in one batch.
    for reuse in (False, True):
        client = make_client(model, num_parallel=1, **context)
        found = []
        for text in PROMPTS:
            ids, spans = prompt(model, *parts(text))
            found.append(client.run(ids, images=spans, cache_prompt=reuse, **options).tokens)
        assert found == expected, reuse
    met = make_client(model, num_parallel=len(PROMPTS), **context)
    jobs = [submitted(met, text) for text in PROMPTS]
    assert [job.tokens for job in met.finish(*jobs)] == expected
