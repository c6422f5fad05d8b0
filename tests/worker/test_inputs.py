"""Inputs to embed: their special tokens, and what is left of those that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gguf_files import tiny_bert, tiny_llama
from llamawire.session.v1 import worker_service_pb2 as pb

native = pytest.importorskip("llamawire.native", reason="the extension module is not built")

from llamawire.worker.inputs import InputReader, InputTooLong  # noqa: E402

CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return native.Model(tiny_bert(tmp_path_factory.mktemp("inputs") / "bert.gguf"))


def reader_of(model: Any, limit: int = 128) -> InputReader:
    return InputReader(model, limit)


def read(reader: InputReader, *inputs: pb.EmbedInput, num_ctx: int = 128, **options: Any) -> Any:
    found = reader.read(inputs, num_ctx=num_ctx, **{"truncate": True, **options})
    return [(each.tokens.tolist(), each.received_count) for each in found]


def pair(query: str, document: str) -> pb.EmbedInput:
    return pb.EmbedInput(pair=pb.TextPair(query=query, document=document))


def plain(model: Any, text: str) -> Any:
    return model.tokenize(text, add_special=False, parse_special=False).tolist()


def test_a_text_stands_between_the_tokens_of_the_model(bert: Any) -> None:
    wanted = bert.tokenize("the cat", add_special=True, parse_special=True).tolist()
    assert wanted[0] == CLS
    assert wanted[-1] == SEP
    assert read(reader_of(bert), pb.EmbedInput(text="the cat")) == [(wanted, len(wanted))]


def test_ids_are_taken_as_they_are(bert: Any) -> None:
    given = pb.EmbedInput(tokens=pb.Tokens(ids=[7, 8, 9]))
    assert read(reader_of(bert), given) == [([7, 8, 9], 3)]
    assert read(reader_of(bert), given, num_ctx=2) == [([7, 8], 3)]


def test_a_pair_has_a_separator_between_and_behind(bert: Any) -> None:
    query, document = plain(bert, "why"), plain(bert, "blue sky")
    wanted = [CLS, *query, SEP, *document, SEP]
    assert read(reader_of(bert), pair("why", "blue sky")) == [(wanted, len(wanted))]


def test_a_special_token_in_a_document_is_text(bert: Any) -> None:
    [(tokens, _)] = read(reader_of(bert), pair("why", "[SEP] [CLS]"))
    assert tokens.count(SEP) == 2


def test_a_cut_keeps_the_beginning_and_the_last_special_token(bert: Any) -> None:
    whole = bert.tokenize("the cat " * 20, add_special=True, parse_special=True).tolist()
    wanted = [*whole[:9], SEP]
    assert read(reader_of(bert), pb.EmbedInput(text="the cat " * 20), num_ctx=10) == [
        (wanted, len(whole))
    ]


def test_a_cut_of_a_pair_takes_from_the_document(bert: Any) -> None:
    [(tokens, received)] = read(reader_of(bert), pair("why", "the cat " * 20), num_ctx=10)
    assert tokens[: len(plain(bert, "why")) + 2] == [CLS, *plain(bert, "why"), SEP]
    assert tokens[-1] == SEP
    assert (len(tokens), received > 40) == (10, True)


def test_the_models_limit_counts_besides_that_of_the_request(bert: Any) -> None:
    [(tokens, _)] = read(reader_of(bert, limit=6), pb.EmbedInput(text="the cat " * 20))
    assert len(tokens) == 6


def test_without_truncate_a_long_input_is_refused_by_its_place(bert: Any) -> None:
    inputs = [pb.EmbedInput(text="the"), pb.EmbedInput(text="the cat " * 20)]
    with pytest.raises(InputTooLong) as failure:
        read(reader_of(bert), *inputs, num_ctx=10, truncate=False)
    assert failure.value.metadata == {"index": "1", "received": "42", "limit": "10"}


def test_a_model_with_bos_and_eos_has_both_around_and_between(tmp_path: Path) -> None:
    metadata = {"tokenizer.ggml.add_eos_token": True}
    model = native.Model(tiny_llama(tmp_path / "llama.gguf", metadata=metadata))
    bos, eos = 1, 2
    [(text, _)] = read(reader_of(model), pb.EmbedInput(text="abc"))
    assert (text[0], text[-1]) == (bos, eos)
    [(tokens, _)] = read(reader_of(model), pair("abc", "def"))
    assert [tokens[0], tokens[-1], tokens.count(eos)] == [bos, eos, 2]
