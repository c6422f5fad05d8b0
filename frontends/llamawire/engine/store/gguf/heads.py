"""Whether the sizes of attention's heads agree with each other and with the matrices.

llama.cpp asserts it while it computes, a line a model family. The lists below follow the
assertions of the pinned version: look at them with each new pin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.header import Gguf, TensorInfo

__all__ = ["check_head_sizes"]

# Every dimension of a head is turned by its position.
_ROTATE_ALL = frozenset(
    """
    apertus arcee arctic baichuan chameleon codeshell cogvlm cohere2moe dbrx deci deepseek dots1
    dream ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon granite granite_swa granitemoe
    graniteswitch grok grovemoe hunyuan-dense hunyuan-moe hunyuan_vl hy_v3 internlm2 jais2 llada
    llada-moe llama llama-embed llama4 maincoder mellum minicpm mistral3 olmo olmo2 olmoe orion
    paddleocr pangu-embedded plamo pockettts qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3tts
    qwen3vl qwen3vlmoe rnd1 seed_oss smallthinker smollm3 starcoder2 talkie xverse
    """.split()  # noqa: SIM905
)
# Some are; with none, llama.cpp turns them for ever.
_ROTATE_SOME = frozenset(
    """
    bitnet chatglm cohere2 command-r gemma gemma2 gemma3 gemma3n gemma4 glm4 glm4moe gpt-oss gptneox
    lfm2 lfm2moe nemotron openelm phi2 phi3 phimoe qwen qwen35 qwen35moe qwen3next stablelm
    """.split()  # noqa: SIM905
)
# Keys and values are of one size.
_EQUAL_SIZES = frozenset(
    """
    afmoe apertus arcee arctic baichuan bailingmoe2 bert bitnet bloom chameleon chatglm
    codeshell cogvlm cohere2 cohere2moe command-r dbrx deci deepseek deepseek4 dflash dots1
    dream eagle3 ernie4_5 ernie4_5-moe eurobert exaone falcon glm4 glm4moe gpt2 gptneox granite
    granite_swa granitehybrid granitemoe graniteswitch grok grovemoe hunyuan-dense hunyuan-moe
    hunyuan_vl hy_v3 internlm2 jais jais2 jina-bert-v2 jina-bert-v3 laguna llada llada-moe llama
    llama-embed llama4 maincoder mellum minicpm minimax-01 minimax-m2 minimax-m3 mistral3
    modern-bert mpt muse-glimmer nanbeige nemotron nemotron_h nemotron_h_moe neo-bert nomic-bert
    nomic-bert-moe olmo olmo2 olmoe openelm orion paddleocr pangu-embedded phi2 phi3 phimoe
    plamo pockettts qwen qwen2 qwen2moe qwen2vl qwen3 qwen35 qwen35moe qwen3moe qwen3next
    qwen3tts qwen3vl qwen3vlmoe qwen4exp refact rnd1 seed_oss smallthinker smollm3 spark2_5
    stablelm starcoder starcoder2 t5 t5encoder xverse
    """.split()  # noqa: SIM905
)
# Whose loader lets the matrices be absent, and whose graph does not.
_MATRICES_UNASKED = ("phi3",)
# Whose matrices are cut by other numbers than these.
_OTHER_SIZES = ("attention.kv_lora_rank", "attention.key_length_swa")

_MATRIX = re.compile(r"(?:\w+\.)?blk\.(\d{1,3})\.attn_(q|k|v|qkv)\.weight")


@dataclass(frozen=True)
class _Heads:
    """Of a model; `counts` and `groups` are one for each block, or one for all."""

    counts: list[int]
    groups: list[int]
    key: int
    value: int

    def rows(self, block: int, matrix: str) -> int:
        """That this matrix of the block has, or a multiple of it; at least, of a fused one."""
        count = self.counts[min(block, len(self.counts) - 1)]
        shared = self.groups[min(block, len(self.groups) - 1)]
        rows = {"q": count * self.key, "k": shared * self.key, "v": shared * self.value}
        return sum(rows.values()) if matrix == "qkv" else rows[matrix]


def check_head_sizes(gguf: Gguf) -> None:
    counts = gguf.integers("attention.head_count")
    embedding = gguf.integer("embedding_length")
    if not counts or not counts[0] or embedding is None:
        return
    derived = embedding // counts[0]
    key, value = (_size(gguf, name, derived) for name in ("key_length", "value_length"))
    _check_rotation(gguf, key)
    if key != value and gguf.architecture in _EQUAL_SIZES:
        raise InvalidGguf(f"keys of {key} and values of {value} must be of one size")
    if not any(map(gguf.has, _OTHER_SIZES)):
        groups = gguf.integers("attention.head_count_kv") or counts
        _check_matrices(gguf, _Heads(counts, groups, key, value))


def _size(gguf: Gguf, name: str, derived: int) -> int:
    size = gguf.integer(f"attention.{name}")
    return derived if size is None else size


def _check_rotation(gguf: Gguf, key: int) -> None:
    rotated = gguf.integer("rope.dimension_count")
    if rotated is None:
        return
    least = 2 if gguf.architecture in _ROTATE_SOME else 0
    is_all = gguf.architecture in _ROTATE_ALL
    if rotated % 2 or not least <= rotated <= key or (is_all and rotated != key):
        raise InvalidGguf(
            f"{gguf.key('rope.dimension_count')} {rotated} does not suit heads of {key}"
        )


def _check_matrices(gguf: Gguf, heads: _Heads) -> None:
    # Blocks of recurrent models have a fused matrix too, which is cut by other numbers.
    names = [tensor.name for tensor in gguf.tensors]
    recurrent = {name.split(".")[1] for name in names if re.match(r"blk\.\d+\.ssm_", name)}
    if gguf.architecture in _MATRICES_UNASKED:
        _check_presence(set(names), gguf.integer("block_count") or 0)
    for tensor in gguf.tensors:
        found = _MATRIX.fullmatch(tensor.name)
        if not found or (found[2] == "qkv" and found[1] in recurrent):
            continue
        needed = heads.rows(int(found[1]), found[2])
        rows = _rows(tensor)
        fits = rows >= needed if found[2] == "qkv" else needed > 0 and rows % needed == 0
        if not fits and (needed or found[2] == "q"):
            raise InvalidGguf(
                f'tensor "{tensor.name}" has {rows} rows, and its heads need {needed}'
            )


def _check_presence(names: set[str], blocks: int) -> None:
    for block in range(blocks):
        prefix = f"blk.{block}.attn_"
        is_split = all(f"{prefix}{letter}.weight" in names for letter in "qkv")
        if not is_split and f"{prefix}qkv.weight" not in names:
            raise InvalidGguf(f'the model needs the tensor "{prefix}qkv.weight"')


def _rows(tensor: TensorInfo) -> int:
    return tensor.shape[1] if len(tensor.shape) > 1 else 1
