"""Fill in the middle: the tokens of a vocabulary that mark the text before a gap, after it, and the
gap itself.

A file may name them by id; older ones only have tokens whose text tells. A prompt is written
prefix, suffix, middle: the order that every family with such tokens was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamawire.engine.store import Gguf

__all__ = ["FillIn", "fill_in"]

KEYS = ("fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id")

FAMILIES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("<PRE>", "<SUF>", "<MID>"),
)
"""Texts of the three tokens, family by family."""


@dataclass(frozen=True, slots=True)
class FillIn:
    """The texts of the three tokens."""

    prefix: str
    suffix: str
    middle: str

    def render(self, prompt: str, suffix: str) -> str:
        """The prompt for the text between `prompt` and `suffix`."""
        return f"{self.prefix}{prompt}{self.suffix}{suffix}{self.middle}"


def fill_in(gguf: Gguf) -> FillIn | None:
    """What the vocabulary of a model has for it; reads the whole list of tokens."""
    tokens = gguf.array("tokenizer.ggml.tokens")
    if tokens is None:
        return None
    texts = [raw.decode(errors="replace") for raw in gguf.raw_strings(tokens)]
    ids = [gguf.integer(f"tokenizer.ggml.{key}") for key in KEYS]
    named = [texts[i] for i in ids if i is not None and 0 <= i < len(texts)]
    if len(named) == len(KEYS):
        return FillIn(*named)
    known = set(texts)
    found = next((family for family in FAMILIES if known.issuperset(family)), None)
    return FillIn(*(text.replace("▁<", " <") for text in found)) if found else None
