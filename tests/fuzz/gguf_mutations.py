"""GGUF files that lie: sound models, projectors and adapters with a few things changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gguf_files import (
    Typed,
    bpe_vocabulary,
    lora_adapter,
    tiny_bert,
    tiny_projector,
    wpm_vocabulary,
    write_gguf,
)
from random_models import ARCHITECTURES, random_model

__all__ = ["mutate", "write_liar"]

NAMES = [*ARCHITECTURES, "gpt2", "bert", "gemma2", "mamba", "rwkv6", "deepseek2", "clip", "olmo"]
NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 96, 255, 354, 511, 512, 513, 1024, 4096, 65536,
           2**31 - 1, 2**31, 2**32 - 1, -1]  # fmt: skip
FLOATS = [0.0, -1.0, 1.0, 1e-38, 1e38, float("inf"), float("-inf"), float("nan")]
# Keys that a sound model of these need not have.
OPTIONAL = """
    attention.sliding_window attention.clamp_kqv attention.causal attention.max_alibi_bias
    attention.group_norm_groups attention.key_length attention.value_length
    attention.kv_lora_rank attention.q_lora_rank attention.scale attention.head_count_kv
    attention.layer_norm_epsilon attention.sliding_window_pattern attn_logit_softcapping
    decoder_start_token_id embedding_scale expert_count expert_feed_forward_length
    expert_gating_func expert_group_count expert_shared_count expert_used_count
    expert_weights_norm expert_weights_scale final_logit_softcapping full_attention_interval
    interleave_moe_layer_step leading_dense_block_count logit_scale n_deepstack_layers
    nextn_predict_layers pooling_type residual_scale rope.dimension_count
    rope.dimension_sections rope.freq_base rope.freq_base_swa rope.scaling.attn_factor
    rope.scaling.factor rope.scaling.original_context_length rope.scaling.type
    rope.scaling.yarn_log_multiplier shortconv.l_cache ssm.conv_kernel ssm.dt_b_c_rms
    ssm.group_count ssm.inner_size ssm.state_size ssm.time_step_rank swin_norm token_shift_count
    use_parallel_residual vocab_size wkv.head_size
"""
TOKENIZER = """
    add_bos_token add_eos_token add_space_prefix bos_token_id eos_token_id eot_token_id
    unknown_token_id padding_token_id mask_token_id merges model pre precompiled_charsmap
    remove_extra_whitespaces scores token_type token_type_count tokens fim_pre_token_id
    escape_whitespaces suppress_tokens
"""
TEXTS = ["", "llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "none", "no_vocab", "default",
         "linear", "yarn", "longrope", "qwen2", "x" * 300, "\u2581", "<0x41>", "é"]  # fmt: skip

PROJECTOR = """
    image_size patch_size embedding_length feed_forward_length block_count projection_dim
    attention.head_count attention.layer_norm_epsilon image_mean image_std spatial_merge_size
    projector.scale_factor image_min_pixels image_max_pixels window_size n_wa_pattern use_gelu
    feature_layer image_grid_pinpoints preproc_image_size image_crop_resolution
"""
# The shapes that other kinds need are not known to the store: projector.py says so.
PROJECTOR_TYPES = "mlp mlp nothing"
PROJECTOR_TENSORS = """
    v.patch_embd.weight v.patch_embd.bias v.position_embd.weight v.class_embd v.pre_ln.weight
    v.post_ln.weight mm.0.weight mm.0.bias mm.1.weight mm.2.weight mm.2.bias
    mm.input_projection.weight mm.soft_emb_norm.weight v.blk.0.attn_q.weight
"""

Keys = dict[str, object]
Tensors = dict[str, Any]


def write_liar(draw: random.Random, path: Path) -> str:
    """Writes one, and says what it is to be loaded as: a model, a projector or an adapter."""
    kind = draw.randrange(10)
    if kind < 2:
        write_projector(draw, path)
    elif kind == 2:
        write_adapter(draw, path)
    elif kind == 3:
        tiny_bert(path, metadata={f"bert.{draw.choice(OPTIONAL.split())}": value(draw)})
    else:
        write_gguf(path, *mutate(draw))
    if draw.random() < 0.15:
        flip(draw, path)
    return {0: "projector", 1: "projector", 2: "adapter"}.get(kind, "model")


def mutate(draw: random.Random) -> tuple[Keys, Tensors]:
    architecture = draw.choice(list(ARCHITECTURES))
    keys, tensors = random_model(architecture)
    keys = dict(keys) | draw.choice([{}, {}, bpe_vocabulary(), wpm_vocabulary()])
    changes: list[Callable[[random.Random, str, Keys, Tensors], None]] = [
        change_key, change_key, add_key, add_key, change_tokenizer, change_tensor, rename,
    ]  # fmt: skip
    for _ in range(draw.choice([1, 1, 2, 3])):
        draw.choice(changes)(draw, architecture, keys, tensors)
    return keys, tensors


def value(draw: random.Random) -> object:
    kind = draw.randrange(8)
    if kind < 4:
        return draw.choice(NUMBERS)
    if kind == 4:
        return draw.choice(FLOATS)
    if kind == 5:
        return draw.choice([True, False])
    if kind == 6:
        return draw.choice(TEXTS)
    numbers = [draw.choice(NUMBERS) for _ in range(draw.choice([0, 1, 2, 3, 4, 512]))]
    return draw.choice([
        Typed(4, [number & 0xFFFF_FFFF for number in numbers]),
        Typed(5, [(number + 2**31) % 2**32 - 2**31 for number in numbers]),
        Typed(6, [float(number) for number in numbers]),
        Typed(7, [bool(number) for number in numbers]),
        Typed(8, [draw.choice(TEXTS) for _ in numbers]),
    ])  # fmt: skip


def change_key(draw: random.Random, architecture: str, keys: Keys, _tensors: Tensors) -> None:
    name = draw.choice([key for key in keys if key.startswith(architecture)] or list(keys))
    if draw.random() < 0.2:
        del keys[name]
    else:
        keys[name] = like(draw, keys[name])


def like(draw: random.Random, old: object) -> object:
    """Mostly of the old one's kind, which the loader insists on."""
    if isinstance(old, float) and draw.random() < 0.8:
        return draw.choice(FLOATS)
    if isinstance(old, int) and draw.random() < 0.8:
        return draw.choice(NUMBERS)
    if isinstance(old, str) and draw.random() < 0.8:
        return draw.choice(TEXTS)
    return value(draw)


def add_key(draw: random.Random, architecture: str, keys: Keys, _tensors: Tensors) -> None:
    keys[f"{architecture}.{draw.choice(OPTIONAL.split())}"] = value(draw)


def change_tokenizer(draw: random.Random, _name: str, keys: Keys, _tensors: Tensors) -> None:
    name = f"tokenizer.ggml.{draw.choice(TOKENIZER.split())}"
    old = keys.get(name)
    if not isinstance(old, list) or draw.random() < 0.2:
        keys[name] = like(draw, old)
        return
    kind = 8 if isinstance(old[0], str) else 6 if isinstance(old[0], float) else 5
    place = draw.randrange(len(old))
    fresh: object = {8: draw.choice(TEXTS), 6: draw.choice(FLOATS), 5: draw.randrange(-1, 9)}[kind]
    keys[name] = Typed(kind, draw.choice([
        old[:place], [*old, fresh], [*old[:place], fresh, *old[place + 1 :]], [fresh] * len(old),
    ]))  # fmt: skip


def change_tensor(draw: random.Random, _name: str, _keys: Keys, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    old = tensors[name]
    kind = draw.randrange(6)
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[name] = old.astype(draw.choice(["float16", "float64", "int8", "int32"]))
    elif kind == 2:
        tensors[name] = old.reshape(-1)
    elif kind == 3:
        tensors[name] = old.T.copy()
    elif kind == 4:
        tensors[name] = np.full_like(old, draw.choice(FLOATS))
    else:
        tensors[name] = np.resize(old, (*old.shape[:-1], max(1, old.shape[-1] // 2)))


def rename(draw: random.Random, architecture: str, keys: Keys, _tensors: Tensors) -> None:
    """The keys of one architecture under the name of another."""
    other = draw.choice(NAMES)
    for key in [key for key in keys if key.startswith(f"{architecture}.")]:
        keys[other + key.removeprefix(architecture)] = keys.pop(key)
    keys["general.architecture"] = other


def write_projector(draw: random.Random, path: Path) -> None:
    keys: Keys = {}
    if draw.random() < 0.3:
        keys["clip.projector_type"] = draw.choice(PROJECTOR_TYPES.split())
    if draw.random() < 0.7:
        keys[f"clip.vision.{draw.choice(PROJECTOR.split())}"] = value(draw)
    tensors: Tensors = {}
    if draw.random() < 0.4:
        tensors[draw.choice(PROJECTOR_TENSORS.split())] = array(draw)
    size = draw.choice([8, 16, 16, 16, 24, 64])
    tiny_projector(path, image_size=size, metadata=keys, tensors=tensors)


def write_adapter(draw: random.Random, path: Path) -> None:
    """For `tiny_llama`."""
    keys = draw.choice([{}, {}, {"adapter.lora.alpha": draw.choice(FLOATS)},
                        {"general.architecture": draw.choice(NAMES)}])  # fmt: skip
    target = draw.choice(["blk.0.attn_q", "blk.1.ffn_up", "token_embd", "output", "output_norm"])
    sides = [draw.choice([1, 63, 64, 64, 128, 354]) for _ in range(2)]
    tensors = draw.choice([{}, {}, {f"{target}.weight.lora_a": array(draw)},
                           {"blk.0.attn_output.weight.lora_b": array(draw)}])  # fmt: skip
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    lora_adapter(path, {f"{target}.weight": (sides[0], sides[1])}, metadata=keys, tensors=tensors,
                 rank=draw.choice([1, 4, 64]))  # fmt: skip


def array(draw: random.Random) -> Any:
    """None leaves the tensor out."""
    shape = [draw.choice([1, 2, 3, 4, 8, 16, 64]) for _ in range(draw.randint(1, 4))]
    kind = draw.choice(["float32", "float32", "float16", "int32", "float64", "int8"])
    return draw.choice([None, np.full(shape, draw.choice(FLOATS[:4])).astype(kind)])


def flip(draw: random.Random, path: Path) -> None:
    """A few bits of the header, or of the data behind it."""
    data = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(data) if draw.random() < 0.2 else min(len(data), 1500))
        data[place] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
