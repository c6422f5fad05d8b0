"""Images: from pixels to embeddings, and as a part of a prompt in the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf_files import tiny_llama, tiny_projector
from native.conftest import Client

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

MakeClient = Callable[..., Client]
SIDE = 256  # 256 / 16 is 16, squared 256 embeddings: more than some units of prefill


def picture(seed: int, height: int = 24, width: int = 40) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def encoder(model: Any, folder: Path) -> Any:
    """Four embeddings a picture."""
    return native.ImageEncoder(model, str(tiny_projector(folder / "projector.gguf")))


@pytest.fixture(scope="module")
def wide(model: Any, folder: Path) -> Any:
    """256 embeddings a picture."""
    path = tiny_projector(folder / "wide.gguf", image_size=SIDE, patch_size=16)
    return native.ImageEncoder(model, str(path))


def prompt(model: Any, *parts: Any) -> tuple[list[int], list[tuple[int, Any]]]:
    """The ids of texts and images, and where the images begin."""
    ids: list[int] = [model.info["bos_token"]]
    spans = []
    for part in parts:
        if isinstance(part, str):
            ids += model.tokenize(part, add_special=False, parse_special=True).tolist()
        else:
            spans.append((len(ids), part))
            ids += part.ids.tolist()
    return ids, spans


def answer(client: Client, model: Any, *parts: Any, **options: Any) -> Any:
    ids, spans = prompt(model, *parts)
    options.setdefault("num_predict", 24)
    return client.run(ids, images=spans, **options)


def test_an_image_has_negative_ids_that_its_digest_decides(encoder: Any) -> None:
    image = encoder.encode(b"a", picture(1))
    assert image.ids.shape == (4,)
    assert (image.ids < 0).all()
    assert [int(id_) & 1 for id_ in image.ids] == [1, 0, 0, 0]
    other = encoder.encode(b"b", picture(2))
    assert not set(image.ids.tolist()) & set(other.ids.tolist())


def test_a_picture_is_encoded_once(model: Any, folder: Path) -> None:
    encoder = native.ImageEncoder(model, str(tiny_projector(folder / "once.gguf")))
    assert encoder.find(b"a") is None
    encoder.encode(b"a", picture(1))
    encoder.encode(b"a", picture(1))
    assert encoder.find(b"a") is not None
    encoder.encode(b"b", picture(2))
    stats = encoder.stats
    assert (stats["encoded"], stats["found"], stats["cache_size"]) == (2, 2, 2)


def test_the_cache_keeps_to_its_bytes(model: Any, folder: Path) -> None:
    path = str(tiny_projector(folder / "bytes.gguf"))
    size = native.ImageEncoder(model, path).encode(b"a", picture(1)).nbytes
    encoder = native.ImageEncoder(model, path, cache_bytes=2 * size)
    for digest in (b"a", b"b", b"a", b"c"):
        encoder.encode(digest, picture(digest[0]))
    assert encoder.stats["cache_bytes"] == 2 * size
    assert encoder.find(b"a") is not None, "it was used last but one"
    assert encoder.find(b"b") is None
    small = native.ImageEncoder(model, path, cache_bytes=size - 1)
    small.encode(b"a", picture(1))
    assert small.stats["cache_size"] == 0


def test_pixels_reach_the_logits(model: Any, encoder: Any, make_client: MakeClient) -> None:
    client = make_client(model)
    images = [encoder.encode(bytes([seed]), picture(seed)) for seed in range(6)]
    texts = [answer(client, model, "See ", image, " now").text for image in images]
    assert len(set(texts)) == 6
    again = [answer(client, model, "See ", image, " now").text for image in images]
    assert again == texts


def test_where_an_image_stands_matters(model: Any, encoder: Any, make_client: MakeClient) -> None:
    client = make_client(model)
    one, two = (encoder.encode(bytes([seed]), picture(seed)) for seed in (1, 2))
    orders = [
        (one, two, "x"), (two, one, "x"), ("x", one, two), (one, "x", two), (one, "x"),
    ]  # fmt: skip
    assert len({answer(client, model, *parts).text for parts in orders}) == 5


@pytest.mark.parametrize("text", ["", "Some words in front of it. " * 9])
def test_a_warm_cache_answers_as_a_cold_one(
    model: Any, encoder: Any, wide: Any, make_client: MakeClient, text: str
) -> None:
    small, large = encoder.encode(b"s", picture(1)), wide.encode(b"l", picture(2))
    parts = [
        (text, small, "one"), (text, large, "one"), (text, large, "one more"),
        (text, large, small, "one"), (text, small, large), (text, "one"),
    ]  # fmt: skip
    options = {"num_ctx": 1024, "num_parallel": 1}
    cold = [answer(make_client(model, **options), model, *each) for each in parts]
    client = make_client(model, **options)
    for _ in range(2):
        for each, expected in zip(parts, cold, strict=True):
            assert answer(client, model, *each).outcome == expected.outcome
    front = len(prompt(model, text)[0])
    assert answer(client, model, *parts[1]).cached <= front, "the last one had no picture"
    reused = answer(client, model, *parts[2])
    assert reused.cached >= 256, "the picture before it was the same"
    assert reused.outcome == cold[2].outcome


def test_another_picture_is_not_taken_for_the_one_in_the_cache(
    model: Any, wide: Any, make_client: MakeClient
) -> None:
    client = make_client(model, num_ctx=1024, num_parallel=1)
    one, two = (wide.encode(bytes([seed]), picture(seed)) for seed in (1, 2))
    text = "Some words in front. " * 4
    first = answer(client, model, text, one, "what", reproducible=False)
    second = answer(client, model, text, two, "what", reproducible=False)
    assert second.text != first.text
    begin = prompt(model, text)[0]
    assert second.cached == len(begin), "what stands in front of the pictures"


def test_many_images_at_once_answer_as_they_do_alone(
    model: Any, encoder: Any, wide: Any, make_client: MakeClient
) -> None:
    images = [
        (wide if seed % 2 else encoder).encode(bytes([seed]), picture(seed)) for seed in range(8)
    ]
    alone = make_client(model, num_ctx=1024)
    expected = [answer(alone, model, "See ", image, " now").text for image in images]
    client = make_client(model, num_ctx=1024, prefill_budget_ms=1)
    jobs = []
    for image in images:
        ids, spans = prompt(model, "See ", image, " now")
        jobs.append(client.submit(ids, images=spans, num_predict=24, num_batch=64))
    assert [job.text for job in client.finish(*jobs)] == expected


def test_a_job_goes_on_after_a_crash(model: Any, wide: Any, make_client: MakeClient) -> None:
    image = wide.encode(b"a", picture(1))
    ids, spans = prompt(model, "See ", image, " now")
    whole = make_client(model, num_ctx=1024).run(ids, images=spans, num_predict=40)
    done = whole.tokens[:15]
    rest = make_client(model, num_ctx=1024).run(
        ids, images=spans, num_predict=40, generated=done, emitted_bytes=0
    )
    assert done + rest.tokens == whole.tokens
    assert rest.text == whole.text


def test_a_shift_takes_an_image_out_as_a_whole(
    model: Any, encoder: Any, wide: Any, make_client: MakeClient
) -> None:
    client = make_client(model, num_ctx=512)
    small, large = encoder.encode(b"s", picture(1)), wide.encode(b"l", picture(2))
    job = answer(client, model, small, "text", large, "more", num_predict=700, num_keep=2)
    assert job.reason == "length"
    assert job.last.shift_count >= 1
    kept = answer(client, model, small, large, "more", num_predict=700, num_keep=-1)
    assert kept.reason == "length"


def test_penalties_look_at_tokens_alone(model: Any, encoder: Any, make_client: MakeClient) -> None:
    image = encoder.encode(b"a", picture(1))
    job = answer(
        make_client(model), model, image, "aaa", repeat_penalty=1.5, repeat_last_n=-1,
        presence_penalty=1.0, num_predict=40,
    )  # fmt: skip
    assert len(job.tokens) == 40


def test_cancel_ends_the_prefill_of_an_image(
    model: Any, wide: Any, make_client: MakeClient
) -> None:
    client = make_client(model, num_ctx=4096, num_parallel=1)
    images = [wide.encode(bytes([seed]), picture(seed)) for seed in range(12)]
    ids, spans = prompt(model, *images)
    job = client.submit(ids, images=spans, num_predict=10)
    client.loop.cancel(job)
    assert client.finish(job)[0].reason == "cancelled"
    again = answer(client, model, images[0], "x")
    assert again.outcome == answer(make_client(model), model, images[0], "x").outcome


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids, spans: (ids, []), "outside the vocabulary, and no image stands there"),
        (lambda ids, spans: (ids, [(spans[0][0] + 1, spans[0][1])]), "no image at 2"),
        (lambda ids, spans: (ids, [(-1, spans[0][1])]), "no image at -1"),
        (lambda ids, spans: (ids, [(9999, spans[0][1])]), "no image at 9999"),
        (lambda ids, spans: (ids, spans * 2), "no image at 1"),
        (
            lambda ids, spans: ([*ids, -5], spans),
            "outside the vocabulary, and no image stands there",
        ),
        (
            lambda ids, spans: ([-5, *ids[1:]], spans),
            "outside the vocabulary, and no image stands there",
        ),
    ],
)
def test_a_prompt_and_its_images_have_to_agree(
    model: Any, encoder: Any, make_client: MakeClient, change: Any, message: str
) -> None:
    ids, spans = change(*prompt(model, encoder.encode(b"a", picture(1)), "x"))
    with pytest.raises(native.NativeError, match=message) as caught:
        make_client(model).submit(ids, images=spans)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_an_image_of_another_model_is_refused(
    encoder: Any, make_client: MakeClient, folder: Path
) -> None:
    other = native.Model(str(tiny_llama(folder / "narrow.gguf", embedding=32, heads=2)))
    ids, spans = prompt(other, encoder.encode(b"a", picture(1)), "x")
    with pytest.raises(native.NativeError, match="a model of width 64, not 32"):
        make_client(other).submit(ids, images=spans)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": 32}, "mismatch between text model"),
        ({"metadata": {"clip.projector_type": "none such"}}, "unknown projector type"),
        ({"metadata": {"clip.has_vision_encoder": False}}, "could not be loaded"),
        ({"metadata": {"clip.vision.image_mean": None}}, "image_mean"),
        ({"metadata": {"clip.vision.embedding_length": None}}, "Key not found"),
    ],
)
def test_a_projector_that_does_not_fit_is_refused(
    model: Any, folder: Path, change: dict[str, Any], message: str
) -> None:
    path = tiny_projector(folder / "bad.gguf", **change)
    with pytest.raises(native.NativeError, match=message) as caught:
        native.ImageEncoder(model, str(path))
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_missing_projector_is_named(model: Any, folder: Path) -> None:
    with pytest.raises(native.NativeError, match=r"cannot open .*absent\.gguf"):
        native.ImageEncoder(model, str(folder / "absent.gguf"))


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (4, 4, 4), (40_000, 1, 3)])
def test_pixels_of_another_shape_are_refused(encoder: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(native.NativeError) as caught:
        encoder.encode(b"x", np.zeros(shape, np.uint8))
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 1, 3), (333, 7, 3)])
def test_any_proportions_are_taken(encoder: Any, shape: tuple[int, ...]) -> None:
    assert len(encoder.encode(repr(shape).encode(), np.zeros(shape, np.uint8)).ids) == 4


def test_pictures_are_encoded_while_the_loop_decodes(
    model: Any, wide: Any, make_client: MakeClient, waiter: Callable[..., threading.Thread]
) -> None:
    client = make_client(model)
    expected = client.run([1, 5, 9], num_predict=300).tokens
    thread = waiter(lambda: [wide.encode(b"w%d" % n, picture(n)) for n in range(20)])
    assert client.run([1, 5, 9], num_predict=300).tokens == expected
    thread.join()
