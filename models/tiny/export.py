"""Puts a trained model, its vocabulary and its chat template into one GGUF file, and back."""

from __future__ import annotations

from pathlib import Path

import gguf_file as gguf
import numpy as np
import torch
from model import Shape, Tiny
from tokenizer import CONTROL, VISIBLE, Tokenizer

NORMAL_TOKEN, CONTROL_TOKEN, USER_DEFINED_TOKEN = 1, 3, 4
MOSTLY_F16 = 1
LICENSE = "MIT"
HERE = Path(__file__).parent


def metadata(shape: Shape, tokens: Tokenizer) -> gguf.Metadata:
    def number(value: int) -> tuple[int, int]:
        return gguf.UINT32, value

    def token(text: str) -> tuple[int, int]:
        return number(tokens.id_of(text))

    types = [NORMAL_TOKEN] * (len(tokens.tokens) - len(CONTROL) - len(VISIBLE))
    types += [CONTROL_TOKEN] * len(CONTROL) + [USER_DEFINED_TOKEN] * len(VISIBLE)
    return {
        "general.architecture": (gguf.STRING, "llama"),
        "general.type": (gguf.STRING, "model"),
        "general.name": (gguf.STRING, "tiny"),
        "general.author": (gguf.STRING, "llamawire"),
        "general.description": (
            gguf.STRING,
            "The model in the llamawire box, trained by the project on its own text.",
        ),
        "general.license": (gguf.STRING, LICENSE),
        "general.languages": (gguf.STRING, ["en", "zh"]),
        "general.file_type": number(MOSTLY_F16),
        "llama.context_length": number(shape.context),
        "llama.embedding_length": number(shape.width),
        "llama.block_count": number(shape.layers),
        "llama.feed_forward_length": number(shape.feed_forward),
        "llama.attention.head_count": number(shape.heads),
        "llama.attention.head_count_kv": number(shape.kv_heads),
        "llama.attention.layer_norm_rms_epsilon": (gguf.FLOAT32, shape.norm_epsilon),
        "llama.rope.dimension_count": number(shape.head_width),
        "llama.rope.freq_base": (gguf.FLOAT32, shape.rope_base),
        "llama.vocab_size": number(shape.vocabulary),
        "tokenizer.ggml.model": (gguf.STRING, "gpt2"),
        "tokenizer.ggml.pre": (gguf.STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (gguf.STRING, tokens.tokens),
        "tokenizer.ggml.token_type": (gguf.INT32, types),
        "tokenizer.ggml.merges": (gguf.STRING, [f"{a} {b}" for a, b in tokens.merges]),
        "tokenizer.ggml.bos_token_id": token("<|endoftext|>"),
        "tokenizer.ggml.eos_token_id": token("<|im_end|>"),
        "tokenizer.ggml.eot_token_id": token("<|im_end|>"),
        "tokenizer.ggml.padding_token_id": token("<|pad|>"),
        "tokenizer.ggml.fim_pre_token_id": token("<|fim_prefix|>"),
        "tokenizer.ggml.fim_suf_token_id": token("<|fim_suffix|>"),
        "tokenizer.ggml.fim_mid_token_id": token("<|fim_middle|>"),
        "tokenizer.ggml.add_bos_token": (gguf.BOOL, False),
        "tokenizer.chat_template": (
            gguf.STRING,
            (HERE / "template.jinja").read_text(encoding="utf-8"),
        ),
    }


def write(model: Tiny, tokens: Tokenizer, path: Path) -> None:
    """Matrices as 16-bit floats, norms as 32-bit ones, as llama.cpp wants them."""
    tensors = {
        name: weight.detach().numpy().astype("<f2" if weight.dim() == 2 else "<f4")
        for name, weight in model.named_parameters()
    }
    gguf.write(path, metadata(model.shape, tokens), tensors)


def read(path: Path) -> tuple[Tiny, Tokenizer]:
    """The model and the vocabulary of a file that `write` wrote."""
    entries, tensors = gguf.read(path)
    merges = [tuple(merge.split(" ")) for merge in entries["tokenizer.ggml.merges"][1]]
    model = Tiny(Shape())
    model.load_state_dict(
        {name: torch.from_numpy(tensor.astype(np.float32)) for name, tensor in tensors.items()}
    )
    return model, Tokenizer([(a, b) for a, b in merges])
