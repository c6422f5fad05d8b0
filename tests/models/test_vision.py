"""tiny-vision: what it was trained on, what it is scored on, and its files. Nothing here trains."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from random import Random

import pytest

TINY = Path(__file__).parents[2] / "models" / "tiny"
sys.path.insert(0, str(TINY))

np = pytest.importorskip("numpy")

import gguf_file  # noqa: E402
from drawing import COLOURS, SHAPES, Drawing, draw, png, sketch  # noqa: E402
from pictures import (  # noqa: E402
    FORMS,
    HELD_OUT,
    SEEN_PAIRS,
    UNSEEN_PAIRS,
    answer,
    held_out_drawings,
    is_held_out,
    is_right,
    question,
    training_drawing,
)

BYTES_MAX = 3_000_000
"""Of the eyes and the adapter together."""


def seen(count: int) -> list[Drawing]:
    rng = Random(1)
    return [training_drawing(rng) for _ in range(count)]


# --- drawings --------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_picture() -> None:
    one, two = (draw(sketch(Random(3), "star", "red"), 40, 30) for _ in range(2))
    assert one.shape == (30, 40, 3)
    assert (one == two).all()
    assert (one != draw(sketch(Random(4), "star", "red"), 40, 30)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_colour_and_a_background_of_another(shape: str) -> None:
    drawing = sketch(Random(5), shape, "blue")
    picture = draw(drawing, 64, 64).astype(float)
    near = np.linalg.norm(picture - np.array(drawing.paint), axis=-1) < 30
    assert 0.01 < near.mean() < 0.7
    assert not near[0, 0] or not near[-1, -1]


def test_a_png_is_read_back_as_it_was_drawn() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = draw(sketch(Random(6), "moon", "yellow"), 37, 21)
    with image.open(io.BytesIO(png(picture))) as opened:
        assert (np.asarray(opened) == picture).all()


# --- what is held out ------------------------------------------------------------------------


def test_training_draws_nothing_of_the_score() -> None:
    drawings = seen(2000)
    assert {(d.shape, d.colour) for d in drawings} == set(SEEN_PAIRS)
    assert not any(is_held_out(drawing) for drawing in drawings)
    assert not set(SEEN_PAIRS) & set(UNSEEN_PAIRS)


def test_the_score_has_each_shape_and_each_colour_and_is_unseen_in_all() -> None:
    drawings = held_out_drawings(Random(2), 5)
    assert {d.shape for d in drawings} == set(SHAPES)
    assert {d.colour for d in drawings} == set(COLOURS)
    assert {(d.shape, d.colour) for d in drawings} == set(UNSEEN_PAIRS)
    assert all(is_held_out(drawing) for drawing in drawings)


@pytest.mark.parametrize("kind", FORMS)
def test_training_asks_no_held_out_question(kind: str) -> None:
    rng = Random(3)
    asked = {question(rng, kind) for _ in range(3000)}
    assert len(asked) > 100
    assert not asked & set(HELD_OUT[kind])


@pytest.mark.parametrize("kind", FORMS)
def test_the_right_answer_is_right_and_that_of_another_drawing_is_not(kind: str) -> None:
    red, blue = sketch(Random(1), "star", "red"), sketch(Random(1), "heart", "blue")
    assert is_right(kind, red, answer(kind, red))
    assert not is_right(kind, red, answer(kind, blue))
    assert not is_right(
        kind, red, "Stars are red, and hearts are blue: a red star or a blue heart."
    )


# --- the files -------------------------------------------------------------------------------


def test_the_files_are_small() -> None:
    files = [TINY / "tiny-vision.gguf", TINY / "tiny-vision-adapter.gguf"]
    assert sum(path.stat().st_size for path in files) <= BYTES_MAX


def test_the_adapter_and_the_projector_fit_tiny() -> None:
    metadata, tensors = gguf_file.read(TINY / "tiny.gguf")
    _, adapter = gguf_file.read(TINY / "tiny-vision-adapter.gguf")
    for name, a in adapter.items():
        if name.endswith(".lora_a"):
            weight, b = tensors[name.removesuffix(".lora_a")], adapter[name[:-1] + "b"]
            assert (b.shape[0], a.shape[1]) == weight.shape
            assert a.shape[0] == b.shape[1]
    eyes, _ = gguf_file.read(TINY / "tiny-vision.gguf")
    assert eyes["clip.vision.projection_dim"] == metadata["llama.embedding_length"]
