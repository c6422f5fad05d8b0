"""Models whose files lie, loaded as a worker loads them: whatever the validator lets through must
not end the process.

Each case is a random model of one of some architectures with a few keys, tensors or bytes changed.
What passes `validate_gguf` is loaded, and made to say a little, by a child of a process that has
imported llama.cpp, in the worker's sandbox and with a limit of memory and time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.libfuzzer import Result
from gguf_files import Typed, bpe_vocabulary, tiny_bert, wpm_vocabulary, write_gguf
from llamawire.engine.store import InvalidGguf, validate_gguf
from random_models import ARCHITECTURES, random_model

__all__ = ["load_ggufs", "mutate"]

LOAD_TIMEOUT_S = 60.0
FINDINGS_MAX = 20
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

Keys = dict[str, object]
Tensors = dict[str, Any]


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


def flip(draw: random.Random, path: Path) -> None:
    """A few bits of the header, or of the data behind it."""
    data = bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        data[draw.randrange(len(data) if draw.random() < 0.2 else 1500)] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


class Loader:
    """The process that has imported llama.cpp; a child of it loads."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.loading"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def load(self, path: Path) -> dict[str, Any]:
        """`end`: loaded, refused, or how the child died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], 2 * LOAD_TIMEOUT_S)[0]:
            raise RuntimeError("the loading process does not answer")
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.communicate()


def load_ggufs(folder: Path, seconds: float) -> Result:
    """Until the time is over or there are enough findings. Each file that ended a process is kept,
    and what its last words were."""
    seed = int(os.environ.get("LLAMAWIRE_FUZZ_SEED", time.time_ns() & 0xFFFF_FFFF))
    draw = random.Random(seed)
    result = Result("gguf_loads")
    ends: dict[str, int] = {}
    reasons: set[str] = set()
    started = time.monotonic()
    path = folder / "gguf_loads.gguf"
    with contextlib.closing(Loader()) as loader:
        while time.monotonic() - started < seconds and len(result.findings) < FINDINGS_MAX:
            if draw.random() < 0.1:
                tiny_bert(path, metadata={f"bert.{draw.choice(OPTIONAL.split())}": value(draw)})
            else:
                write_gguf(path, *mutate(draw))
            if draw.random() < 0.15:
                flip(draw, path)
            result.runs += 1
            try:
                validate_gguf(path, "model")
            except InvalidGguf:
                ends["invalid"] = ends.get("invalid", 0) + 1
                continue
            answer = loader.load(path)
            ends[answer["end"]] = ends.get(answer["end"], 0) + 1
            if answer["end"] in ("loaded", "refused") or answer["said"] in reasons:
                continue
            reasons.add(answer["said"])
            kept = folder / f"gguf_loads-{len(result.findings)}-{seed}.gguf"
            path.rename(kept)
            result.findings.append(f"{kept.name}: {answer['end']}: {answer['said']}")
    result.seconds = time.monotonic() - started
    result.note = f"seed {seed}; " + ", ".join(f"{k} {v:,}" for k, v in sorted(ends.items()))
    return result
