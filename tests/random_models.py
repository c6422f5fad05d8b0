"""Random models of ten architectures that llama.cpp loads: what each kind of cache is tested with.

Each has two or three small blocks and the vocabulary of `spm_vocabulary`; its logits are peaked, so
that the likeliest token is the likeliest by far whatever kernel computed it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gguf_files import spm_vocabulary, write_gguf

__all__ = ["ARCHITECTURES", "random_model", "write_random_model"]

Tensors = dict[str, npt.NDArray[np.generic]]
Keys = dict[str, object]

EMBEDDING, HEADS, HEADS_KV, FEED_FORWARD, CONTEXT = 64, 4, 2, 96, 4096
HEAD = EMBEDDING // HEADS
WIDTH_KV = HEAD * HEADS_KV
VOCABULARY = 354


class Writer:
    """Draws tensors by name; each depends on its own name and the architecture's alone."""

    def __init__(self, architecture: str) -> None:
        self.architecture = architecture
        self.tensors: Tensors = {}

    def matrix(self, name: str, *shape: int, gain: float = 1.0) -> None:
        draw = np.random.default_rng(zlib.crc32(f"{self.architecture} {name}".encode()))
        values = draw.standard_normal(shape) * gain / shape[-1] ** 0.5
        self.tensors[name] = values.astype("float32")

    def vector(self, name: str, *shape: int, value: float = 1.0) -> None:
        self.tensors[name] = np.full(shape, value, "float32")

    def ends(self, norm: str = "output_norm") -> None:
        self.matrix("token_embd.weight", VOCABULARY, EMBEDDING, gain=EMBEDDING**0.5)
        self.vector(f"{norm}.weight", EMBEDDING)
        self.matrix("output.weight", VOCABULARY, EMBEDDING, gain=8.0)

    def attention(self, block: str, *, norms: bool = False, bias: bool = False) -> None:
        self.vector(f"{block}.attn_norm.weight", EMBEDDING)
        for name, width in (("q", EMBEDDING), ("k", WIDTH_KV), ("v", WIDTH_KV)):
            self.matrix(f"{block}.attn_{name}.weight", width, EMBEDDING)
            if bias:
                self.matrix(f"{block}.attn_{name}.bias", width)
        self.matrix(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING)
        if norms:
            self.vector(f"{block}.attn_q_norm.weight", HEAD)
            self.vector(f"{block}.attn_k_norm.weight", HEAD)

    def feed_forward(self, block: str) -> None:
        self.vector(f"{block}.ffn_norm.weight", EMBEDDING)
        self.matrix(f"{block}.ffn_gate.weight", FEED_FORWARD, EMBEDDING)
        self.matrix(f"{block}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
        self.matrix(f"{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD)


def llama(writer: Writer) -> Keys:
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.attention(block)
        writer.feed_forward(block)
    return {"block_count": 2}


def qwen2(writer: Writer) -> Keys:
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.attention(block, bias=True)
        writer.feed_forward(block)
    return {"block_count": 2}


def qwen3(writer: Writer) -> Keys:
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.attention(block, norms=True)
        writer.feed_forward(block)
    return {"block_count": 2}


def gemma3(writer: Writer) -> Keys:
    """Every sixth block sees all, the others 32 tokens back."""
    writer.ends()
    for index in range(6):
        block = f"blk.{index}"
        writer.attention(block, norms=True)
        writer.vector(f"{block}.post_attention_norm.weight", EMBEDDING)
        writer.feed_forward(block)
        writer.vector(f"{block}.post_ffw_norm.weight", EMBEDDING)
    return {"block_count": 6, "attention.sliding_window": 32}


def phi3(writer: Writer) -> Keys:
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.vector(f"{block}.attn_norm.weight", EMBEDDING)
        writer.matrix(f"{block}.attn_qkv.weight", EMBEDDING + 2 * WIDTH_KV, EMBEDDING)
        writer.matrix(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING)
        writer.vector(f"{block}.ffn_norm.weight", EMBEDDING)
        writer.matrix(f"{block}.ffn_up.weight", 2 * FEED_FORWARD, EMBEDDING)
        writer.matrix(f"{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD)
    return {"block_count": 2}


def mamba2(writer: Writer) -> Keys:
    """No attention: all that was read stands in a state that cannot be taken back."""
    inner, state, heads, groups, kernel = 2 * EMBEDDING, 16, 4, 1, 4
    convolved = inner + 2 * groups * state
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.vector(f"{block}.attn_norm.weight", EMBEDDING)
        writer.matrix(f"{block}.ssm_in.weight", inner + convolved + heads, EMBEDDING)
        writer.matrix(f"{block}.ssm_conv1d.weight", convolved, kernel)
        writer.vector(f"{block}.ssm_conv1d.bias", convolved, value=0.0)
        writer.vector(f"{block}.ssm_dt.bias", heads, value=0.1)
        writer.vector(f"{block}.ssm_a", heads, 1, value=-1.0)
        writer.vector(f"{block}.ssm_d", heads, 1)
        writer.vector(f"{block}.ssm_norm.weight", groups, inner // groups)
        writer.matrix(f"{block}.ssm_out.weight", EMBEDDING, inner)
    return {
        "block_count": 2,
        "ssm.conv_kernel": kernel,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": heads,
        "ssm.group_count": groups,
    }


def lfm2(writer: Writer) -> Keys:
    """A hybrid: convolutions with a state in two blocks, attention in one."""
    writer.ends("token_embd_norm")
    kv = [0, HEADS_KV, 0]
    for index, heads_kv in enumerate(kv):
        block = f"blk.{index}"
        if heads_kv:
            writer.attention(block, norms=True)
        else:
            writer.vector(f"{block}.attn_norm.weight", EMBEDDING)
            writer.matrix(f"{block}.shortconv.conv.weight", EMBEDDING, 3)
            writer.matrix(f"{block}.shortconv.in_proj.weight", 3 * EMBEDDING, EMBEDDING)
            writer.matrix(f"{block}.shortconv.out_proj.weight", EMBEDDING, EMBEDDING)
        writer.feed_forward(block)
    return {"block_count": 3, "attention.head_count_kv": kv, "shortconv.l_cache": 3}


def qwen3moe(writer: Writer) -> Keys:
    """A mixture of four experts, two of which answer."""
    experts, width = 4, 48
    writer.ends()
    for block in ("blk.0", "blk.1"):
        writer.attention(block, norms=True)
        writer.vector(f"{block}.ffn_norm.weight", EMBEDDING)
        writer.matrix(f"{block}.ffn_gate_inp.weight", experts, EMBEDDING)
        writer.matrix(f"{block}.ffn_gate_exps.weight", experts, width, EMBEDDING)
        writer.matrix(f"{block}.ffn_up_exps.weight", experts, width, EMBEDDING)
        writer.matrix(f"{block}.ffn_down_exps.weight", experts, EMBEDDING, width)
    return {
        "block_count": 2,
        "expert_count": experts,
        "expert_used_count": 2,
        "expert_feed_forward_length": width,
    }


def qwen2vl(writer: Writer) -> Keys:
    """M-RoPE: a token has four positions, which for text are the same."""
    return qwen2(writer) | {"rope.dimension_sections": [2, 3, 3, 0]}


def t5(writer: Writer) -> Keys:
    """An encoder and a decoder that looks at what it read."""
    writer.matrix("token_embd.weight", VOCABULARY, EMBEDDING, gain=EMBEDDING**0.5)
    writer.matrix("output.weight", VOCABULARY, EMBEDDING, gain=8.0)
    for side, attentions in (("enc", ["attn"]), ("dec", ["attn", "cross_attn"])):
        writer.vector(f"{side}.output_norm.weight", EMBEDDING)
        block = f"{side}.blk.0"
        for attention in attentions:
            writer.vector(f"{block}.{attention}_norm.weight", EMBEDDING)
            for name in "qkvo":
                writer.matrix(f"{block}.{attention}_{name}.weight", EMBEDDING, EMBEDDING)
        writer.matrix(f"{block}.attn_rel_b.weight", 32, HEADS)
        writer.feed_forward(block)
    return {
        "block_count": 1,
        "attention.head_count_kv": HEADS,
        "attention.relative_buckets_count": 32,
        "decoder_start_token_id": 0,
    }


ARCHITECTURES: dict[str, Callable[[Writer], Keys]] = {
    each.__name__: each
    for each in (llama, qwen2, qwen3, gemma3, phi3, mamba2, lfm2, qwen3moe, qwen2vl, t5)
}


def write_random_model(path: Path, architecture: str) -> Path:
    """Writes the model; gives the path."""
    return write_gguf(path, *random_model(architecture))


def random_model(architecture: str) -> tuple[Keys, Tensors]:
    """The model's metadata and tensors."""
    writer = Writer(architecture)
    own = ARCHITECTURES[architecture](writer)
    common: Keys = {
        "context_length": CONTEXT,
        "embedding_length": EMBEDDING,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS_KV,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": HEAD,
    }
    keys = {f"{architecture}.{name}": value for name, value in (common | own).items()}
    general = {"general.architecture": architecture, "general.name": "random"}
    return general | keys | spm_vocabulary(), writer.tensors
