"""The tokens that a vocabulary has for filling gaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from gguf_files import write_gguf
from llamawire.engine.fill_in import FAMILIES, FillIn, fill_in
from llamawire.engine.store import read_gguf


def found(tmp_path: Path, tokens: list[str], **ids: int) -> FillIn | None:
    keys: dict[str, object] = {"general.architecture": "llama", "tokenizer.ggml.tokens": tokens}
    keys |= {f"tokenizer.ggml.{key}": value for key, value in ids.items()}
    return fill_in(read_gguf(write_gguf(tmp_path / "m.gguf", keys)))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family[0])
def test_tokens_are_found_by_their_texts(tmp_path: Path, family: tuple[str, str, str]) -> None:
    # A leading ▁ is how a vocabulary writes a space; the prompt has the space.
    texts = [text.replace("▁<", " <") for text in family]
    assert found(tmp_path, ["a", *family, "b"]) == FillIn(*texts)


def test_ids_in_the_file_win(tmp_path: Path) -> None:
    tokens = ["<1>", "<2>", "<3>", *FAMILIES[0]]
    ids = {"fim_pre_token_id": 0, "fim_suf_token_id": 1, "fim_mid_token_id": 2}
    assert found(tmp_path, tokens, **ids) == FillIn("<1>", "<2>", "<3>")


def test_the_prompt_is_prefix_suffix_middle() -> None:
    assert FillIn("<p>", "<s>", "<m>").render("def f(", "return") == "<p>def f(<s>return<m>"


def test_two_of_three_are_none(tmp_path: Path) -> None:
    assert found(tmp_path, list(FAMILIES[0][:2])) is None
    assert found(tmp_path, ["a"], fim_pre_token_id=0) is None
    assert found(tmp_path, ["a"], fim_pre_token_id=9, fim_suf_token_id=8) is None
