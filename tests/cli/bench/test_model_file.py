"""Models that never end an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader

from llamawire import native
from llamawire.cli.bench.model_file import forbidden, write_model
from llamawire.cli.bench.prompts import WORDS
from llamawire.cli.bench.shapes import SHAPES, Shape
from llamawire.cli.bench.vocabulary import make_vocabulary

SMALL = [
    Shape("small-q8_0", 2, 128, 4, 2, 256, 1024, "Q8_0"),
    Shape("small-q4_0", 2, 128, 4, 2, 256, 1024, "Q4_0"),
]


@pytest.fixture(params=SMALL, ids=lambda shape: shape.type)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_model(tmp_path / "m.gguf", request.param)
    return tmp_path / "m.gguf"


def test_another_reader_finds_the_shape(path: Path) -> None:
    reader = GGUFReader(path)
    assert {str(tensor.tensor_type.name) for tensor in reader.tensors} <= {"F32", "Q8_0", "Q4_0"}
    assert len(reader.tensors) == 2 + 9 * 2
    assert len(reader.fields["tokenizer.ggml.tokens"].data) == 1024


@pytest.mark.parametrize("temperature", [0.0, 0.8, 5.0])
def test_no_answer_ends_and_every_token_has_a_text(path: Path, temperature: float) -> None:
    loop = native.Loop(native.Model(path), num_parallel=2, num_ctx=1024)
    for job in (1, 2):
        loop.submit(job, [300, 301], num_predict=600, seed=job, temperature=temperature, top_k=0)
    ids: dict[int, list[int]] = {1: [], 2: []}
    reasons = []
    while len(reasons) < 2:
        for event in loop.wait(10):
            ids[event.job_id].extend(event.tokens)
            assert not event.tokens or event.text.decode().isprintable()
            if event.kind == native.EVENT_FINISHED:
                reasons.append(event.reason)
    loop.close()
    assert reasons == ["length", "length"]
    assert {len(found) for found in ids.values()} == {600}
    assert not {*ids[1], *ids[2]} & set(forbidden(1024))
    # Not one word again and again, which would flatter whoever guesses ahead.
    assert len(set(ids[1])) > (4 if temperature == 0 else 40)


def test_a_word_of_the_benchs_prompts_is_one_token() -> None:
    tokens, merges = make_vocabulary(4096)
    assert len(tokens) == len(set(tokens)) == 4096
    assert all("Ġ" + word in tokens for word in WORDS)
    assert len(merges) == 4096 - 256 - 3


def test_the_tokenizer_cuts_at_words(path: Path) -> None:
    model = native.Model(path)
    ids = model.tokenize(" time year people", add_special=True, parse_special=False)
    assert len(ids) == 3
    assert model.detokenize(ids) == b" time year people"


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_model(tmp_path / name, SMALL[0], seed)
    data = {name: (tmp_path / name).read_bytes() for name in "abc"}
    assert data["a"] == data["b"] != data["c"]


def test_widths_fit_blocks_and_heads() -> None:
    for shape in SHAPES:
        assert shape.width % 32 == shape.feed_forward % 32 == shape.width % shape.heads == 0
        assert shape.heads % shape.heads_kv == 0
