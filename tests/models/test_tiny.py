# ruff: noqa: RUF001 (the Chinese texts have Chinese punctuation)
"""The model in the box: its corpus, its vocabulary and the committed GGUF. Nothing here trains."""

from __future__ import annotations

import re
import struct
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parents[2] / "models" / "tiny"
sys.path.insert(0, str(TINY))  # The scripts there import each other by plain names.

import chat as chat_format  # noqa: E402
import corpus  # noqa: E402
import held_out  # noqa: E402
import skills  # noqa: E402
import tokenizer  # noqa: E402

GGUF_BYTES_MAX = 6_000_000
DOCUMENTS = 12_000  # As many as the vocabulary is learned from.


@pytest.fixture(scope="module")
def documents() -> list[chat_format.Document]:
    return list(islice(corpus.documents(20261122), DOCUMENTS))


@pytest.fixture(scope="module")
def texts(documents: list[chat_format.Document]) -> list[str]:
    return ["".join(segment.text for segment in document) for document in documents]


@pytest.fixture(scope="module")
def contents() -> tuple[dict[str, tuple[int, Any]], dict[str, Any]]:
    pytest.importorskip("numpy", reason="reading the GGUF needs numpy")
    import gguf_file

    return gguf_file.read(TINY / "tiny.gguf")


@pytest.fixture(scope="module")
def keys(contents: tuple[dict[str, tuple[int, Any]], dict[str, Any]]) -> dict[str, Any]:
    return {key: value for key, (_, value) in contents[0].items()}


def plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


# --- corpus ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_corpus(documents: list[chat_format.Document]) -> None:
    assert list(islice(corpus.documents(20261122), 500)) == documents[:500]
    assert list(islice(corpus.documents(7), 500)) != documents[:500]


@pytest.mark.parametrize(
    ("question", "word"), [("Why is the sky blue?", "scatter"), ("为什么天空是蓝色的？", "散射")]
)
def test_the_corpus_explains_the_sky_in_both_languages(
    texts: list[str], question: str, word: str
) -> None:
    asked = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    answers = [part.split("<|im_end|>")[0] for text in texts for part in text.split(asked)[1:]]
    assert answers
    assert all(word in answer for answer in answers)


def test_the_corpus_asks_no_held_out_question(documents: list[chat_format.Document]) -> None:
    prompts = [s.text for document in documents for s in document if not s.trained]
    asked = {plain(part) for text in prompts for part in re.split(r"<\|im_\w+\|>\w*", text)}
    assert plain("Why is the sky blue?") in asked
    assert not asked & {plain(question) for question, _ in held_out.SEEN + held_out.UNSEEN}
    for skill, trials in skills.SKILLS.items():
        if "gaps of whole lines" not in skill:
            assert not asked & {plain(trial.question) for trial in trials}


def test_a_talk_holds_every_turn_in_the_chat_format() -> None:
    document = chat_format.chat("Be brief.", [("Hi", "Hello!"), ("Bye", "Goodbye!")])
    assert "".join(segment.text for segment in document) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nGoodbye!<|im_end|>"
    )


# --- vocabulary ------------------------------------------------------------------------------


def test_words_are_cut_as_gpt2_cuts_them() -> None:
    assert tokenizer.words("I'll  add 12x,\n\n ok ") == (
        ["I", "'ll", " ", " add", " 12", "x", ",", "\n\n", " ok", " "]
    )


def test_the_vocabulary_in_the_file_is_the_one_the_corpus_gives(
    texts: list[str], keys: dict[str, Any]
) -> None:
    learned = tokenizer.train(texts, len(keys["tokenizer.ggml.tokens"]))
    assert keys["tokenizer.ggml.tokens"] == learned.tokens
    assert keys["tokenizer.ggml.merges"] == [f"{a} {b}" for a, b in learned.merges]


@pytest.fixture
def tokens(keys: dict[str, Any]) -> tokenizer.Tokenizer:
    return tokenizer.Tokenizer([tuple(merge.split(" ")) for merge in keys["tokenizer.ggml.merges"]])


@pytest.mark.parametrize(
    "text", ["Why is the sky blue?", "为什么天空是蓝色的？", "\ttabs\r\n  and é 🦙", "a<think>b"]
)
def test_any_text_comes_back_from_its_tokens(tokens: tokenizer.Tokenizer, text: str) -> None:
    assert tokens.decode(tokens.encode(text)) == text


@pytest.mark.parametrize("text", tokenizer.SPECIALS)
def test_a_special_token_is_one_token(tokens: tokenizer.Tokenizer, text: str) -> None:
    assert tokens.encode(f"a{text}b")[1:-1] == [tokens.id_of(text)]


# --- the file --------------------------------------------------------------------------------


def test_the_file_is_a_small_gguf() -> None:
    data = (TINY / "tiny.gguf").read_bytes()
    assert len(data) <= GGUF_BYTES_MAX
    assert struct.unpack_from("<4sI", data) == (b"GGUF", 3)


def test_special_tokens_have_their_kinds_and_ids(keys: dict[str, Any]) -> None:
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    assert len(set(tokens)) == len(tokens) == len(types)
    assert {types[tokens.index(text)] for text in tokenizer.CONTROL} == {3}
    assert {types[tokens.index(text)] for text in tokenizer.VISIBLE} == {4}
    for key, text in [
        ("eos", "<|im_end|>"),
        ("eot", "<|im_end|>"),
        ("padding", "<|pad|>"),
        ("fim_pre", "<|fim_prefix|>"),
        ("fim_suf", "<|fim_suffix|>"),
        ("fim_mid", "<|fim_middle|>"),
    ]:
        assert tokens[keys[f"tokenizer.ggml.{key}_token_id"]] == text
    assert keys["tokenizer.ggml.add_bos_token"] is False


def test_the_chat_template_in_the_file_writes_the_trained_format(keys: dict[str, Any]) -> None:
    sandbox = pytest.importorskip("jinja2.sandbox", reason="rendering needs jinja2")
    template = keys["tokenizer.chat_template"]
    assert template == (TINY / "template.jinja").read_text(encoding="utf-8")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Bye"},
    ]
    wanted = chat_format.chat("Be brief.", [("Hi", "Hello!"), ("Bye", "")])
    for trim in (False, True):  # Programs differ in this setting of jinja.
        environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=trim, lstrip_blocks=trim)
        text = environment.from_string(template).render(
            messages=messages, add_generation_prompt=True
        )
        assert text == "".join(segment.text for segment in wanted[:-1])


def test_the_chat_template_offers_tools_as_they_were_trained(keys: dict[str, Any]) -> None:
    sandbox = pytest.importorskip("jinja2.sandbox", reason="rendering needs jinja2")
    call = {"function": {"name": "clock", "arguments": {"city": "Rome"}}}
    messages = [
        {"role": "user", "content": "What time is it in Rome?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "12:30"},
    ]
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(keys["tokenizer.chat_template"]).render(
        messages=messages, tools=[{"type": "function"}], add_generation_prompt=True
    )
    assert text == (
        '<|im_start|>system\nYou may call these tools:\n{"type": "function"}<|im_end|>\n'
        "<|im_start|>user\nWhat time is it in Rome?<|im_end|>\n<|im_start|>assistant\n"
        '<tool_call>\n{"name": "clock", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>tool\n12:30<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_modelfile_has_the_template_and_the_stops() -> None:
    text = (TINY / "Modelfile").read_text(encoding="utf-8")
    assert "FROM ./tiny.gguf" in text
    for part in [".System", ".Messages", ".Tools", ".Suffix", "<|im_start|>assistant"]:
        assert part in text
    assert "PARAMETER stop <|im_end|>" in text


def test_another_reader_finds_the_same_in_the_file(
    contents: tuple[dict[str, tuple[int, Any]], dict[str, Any]], keys: dict[str, Any]
) -> None:
    gguf = pytest.importorskip("gguf", reason="the gguf package is a development tool")
    reader = gguf.GGUFReader(TINY / "tiny.gguf")
    assert {key: reader.fields[key].contents() for key in keys} == keys
    assert {tensor.name: tensor.data.tobytes() for tensor in reader.tensors} == {
        name: tensor.tobytes() for name, tensor in contents[1].items()
    }
    assert keys["general.architecture"] == "llama"
    assert keys["llama.context_length"] >= 4096
