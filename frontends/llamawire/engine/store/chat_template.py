"""The chat template that a GGUF brings along, with what must be known to render it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llamawire.engine.store.gguf import Gguf

__all__ = ["ChatTemplate", "DetectTemplate", "NamedTemplate", "chat_template"]

# Tokenizers that begin every text with BOS unless the file says otherwise: llama.cpp's own list.
_MODELS_WITH_BOS = ("llama", "bert")
_PRETOKENIZERS_WITH_BOS = (
    "chameleon",
    "falcon-h1",
    "falcon3",
    "jina-v5-nano",
    "lfm2",
    "llama-bpe",
    "llama-v3",
    "llama3",
    "midm-2.0",
    "pixtral",
    "tekken",
)


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template, the texts of two tokens, and whether the tokenizer puts BOS in front."""

    text: str
    bos: str
    eos: str
    adds_bos: bool


@dataclass(frozen=True)
class NamedTemplate:
    """A Go template that renders as a Jinja template does, and what ends an answer in it."""

    name: str
    template: str
    stop: tuple[str, ...]


# Finds the named template for a Jinja template; None if there is none that does the same.
DetectTemplate = Callable[[ChatTemplate], NamedTemplate | None]


def chat_template(gguf: Gguf) -> ChatTemplate | None:
    """The template in the file, if there is one. Raises InvalidGguf, OSError."""
    text = gguf.text("tokenizer.chat_template")
    if text is None:
        return None
    ids = [gguf.integer(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")]
    bos, eos = _token_texts(gguf, ids)
    return ChatTemplate(text, bos, eos, _adds_bos(gguf))


def _token_texts(gguf: Gguf, ids: list[int | None]) -> list[str]:
    """The texts of these tokens, empty for those that there are not."""
    tokens = gguf.array("tokenizer.ggml.tokens")
    known = [token for token in ids if token is not None]
    if tokens is None or not known:
        return ["" for _ in ids]
    wanted: dict[int | None, str] = {}
    for index, token in zip(range(max(known) + 1), gguf.elements(tokens), strict=False):
        if index in known:
            wanted[index] = str(token)
    return [wanted.get(token, "") for token in ids]


def _adds_bos(gguf: Gguf) -> bool:
    flag = gguf.flag("tokenizer.ggml.add_bos_token")
    if flag is not None:
        return flag
    return (
        gguf.text("tokenizer.ggml.model") in _MODELS_WITH_BOS
        or gguf.text("tokenizer.ggml.pre") in _PRETOKENIZERS_WITH_BOS
    )
