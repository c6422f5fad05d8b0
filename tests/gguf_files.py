"""Writes small GGUF files for tests: any metadata and tensors, and models that llama.cpp loads.

The models are a few hundred kilobytes of random weights, the same for the same seed. The echo
automaton is a model whose every next token is known: after token t comes `successors[t]`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = [
    "Typed",
    "bpe_vocabulary",
    "echo_automaton",
    "large_bpe_vocabulary",
    "lora_adapter",
    "scripted_model",
    "spm_vocabulary",
    "tiny_bert",
    "tiny_llama",
    "tiny_projector",
    "with_tokens",
    "wpm_vocabulary",
    "write_gguf",
]

Array = npt.NDArray[np.generic]

ALIGNMENT = 32
STRING, ARRAY = 8, 9
SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
TENSOR_KINDS = {"float32": 0, "float16": 1, "int8": 24, "int32": 26, "float64": 28}

# Types of tokens.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


@dataclass(frozen=True)
class Typed:
    """A metadata value of a kind that its Python type does not tell, or an array of that kind."""

    kind: int
    value: object


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Mapping[str, Array] | None = None,
    *,
    version: int = 3,
    order: str = "<",
    alignment: int = ALIGNMENT,
) -> Path:
    """Writes a file; the order of keys and tensors is kept. Gives the path.

    Integers become u32, or i32, u64 if they do not fit; floats f32; lists arrays of their first
    element's kind (integers i32). A value that is `Typed` is written as it says. `order` is "<"
    or ">"; shapes are numpy's, so a matrix of rows by columns has its columns first in the file.
    """
    tensors = tensors or {}
    text = b"GGUF" + struct.pack(f"{order}IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        text += _string(key, order) + _value(value, order)
    data = bytearray()
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]
        text += _string(name, order) + struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape)
        text += struct.pack(f"{order}IQ", TENSOR_KINDS[tensor.dtype.name], len(data))
        swapped = tensor if order == "<" else tensor.byteswap()
        data += _padded(swapped.tobytes(), alignment)
    path.write_bytes(_padded(text, alignment) + data if tensors else text)
    return path


def tiny_llama(
    path: Path,
    *,
    seed: int = 0,
    embedding: int = 64,
    blocks: int = 2,
    heads: int = 4,
    heads_kv: int | None = None,
    feed_forward: int = 128,
    context: int = 4096,
    tokenizer: str = "spm",
    vocabulary: Mapping[str, object] | None = None,
    scale: float = 1.0,
    metadata: Mapping[str, object] | None = None,
    dtype: str = "float32",
    without: Sequence[str] = (),
) -> Path:
    """A random model of the architecture llama that llama.cpp loads; 0.4 MB as it stands.

    `tokenizer` is "spm" or "bpe", if no `vocabulary` is given. A larger `scale` makes the logits
    more peaked. `metadata` adds keys or takes the place of them; None as a value leaves one out.
    `without` names tensors to leave out.
    """
    draw = np.random.default_rng(seed)
    if vocabulary is None:
        vocabulary = spm_vocabulary() if tokenizer == "spm" else bpe_vocabulary()
    size = _vocabulary_size(vocabulary)
    width_kv = embedding // heads * (heads_kv or heads)

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Array:
        values: Array = draw.standard_normal((rows, columns)) * gain / columns**0.5
        return values.astype(dtype)

    tensors: dict[str, Array] = {
        "token_embd.weight": matrix(size, embedding, embedding**0.5),
        "output_norm.weight": np.ones(embedding, "float32"),
        "output.weight": matrix(size, embedding, 2.0 * scale),
    }
    for block in range(blocks):
        tensors |= {
            f"blk.{block}.attn_norm.weight": np.ones(embedding, "float32"),
            f"blk.{block}.attn_q.weight": matrix(embedding, embedding),
            f"blk.{block}.attn_k.weight": matrix(width_kv, embedding),
            f"blk.{block}.attn_v.weight": matrix(width_kv, embedding),
            f"blk.{block}.attn_output.weight": matrix(embedding, embedding),
            f"blk.{block}.ffn_norm.weight": np.ones(embedding, "float32"),
            f"blk.{block}.ffn_gate.weight": matrix(feed_forward, embedding),
            f"blk.{block}.ffn_up.weight": matrix(feed_forward, embedding),
            f"blk.{block}.ffn_down.weight": matrix(embedding, feed_forward),
        }
    tensors = {name: tensor for name, tensor in tensors.items() if name not in without}
    keys = _llama_keys(embedding, blocks, heads, heads_kv, feed_forward, context)
    merged = {**keys, **vocabulary, **(metadata or {})}
    return write_gguf(path, {k: v for k, v in merged.items() if v is not None}, tensors)


def echo_automaton(
    path: Path,
    *,
    successors: Sequence[int] | None = None,
    seed: int = 0,
    tokenizer: str = "spm",
    context: int = 4096,
    gain: float = 8.0,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """A model that answers token t with `successors[t]`, which by default is the next token.

    Attention and feed-forward are zero, so the logits depend on the last token alone, and the
    one that is wanted stands far above the others. By default "spm" counts through its printable
    characters, passes `<unk>` and `<s>`, and ends at `</s>`.
    """
    embedding, heads, feed_forward = 64, 4, 32
    vocabulary = spm_vocabulary() if tokenizer == "spm" else bpe_vocabulary()
    size = _vocabulary_size(vocabulary)
    chosen = list(successors) if successors is not None else [(t + 1) % size for t in range(size)]
    vectors = np.random.default_rng(seed).standard_normal((size, embedding))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    output = np.zeros((size, embedding))
    np.add.at(output, chosen, vectors * gain)
    square = np.zeros((embedding, embedding), "float32")
    tensors: dict[str, Array] = {
        "token_embd.weight": vectors.astype("float32"),
        "output_norm.weight": np.ones(embedding, "float32"),
        "output.weight": output.astype("float32"),
        "blk.0.attn_norm.weight": np.ones(embedding, "float32"),
        "blk.0.attn_q.weight": square,
        "blk.0.attn_k.weight": square,
        "blk.0.attn_v.weight": square,
        "blk.0.attn_output.weight": square,
        "blk.0.ffn_norm.weight": np.ones(embedding, "float32"),
        "blk.0.ffn_gate.weight": np.zeros((feed_forward, embedding), "float32"),
        "blk.0.ffn_up.weight": np.zeros((feed_forward, embedding), "float32"),
        "blk.0.ffn_down.weight": np.zeros((embedding, feed_forward), "float32"),
    }
    keys = _llama_keys(embedding, 1, heads, None, feed_forward, context)
    merged = {**keys, **vocabulary, **(metadata or {})}
    return write_gguf(path, {k: v for k, v in merged.items() if v is not None}, tensors)


def scripted_model(
    path: Path,
    script: Sequence[int],
    *,
    start: int,
    vocabulary: Mapping[str, object],
    metadata: Mapping[str, object] | None = None,
    context: int = 512,
    gain: float = 3.0,
) -> Path:
    """A model that says `script` behind a prompt of `start` tokens, whatever they are.

    GPT-2 knows positions by vectors. Here they are all that counts: the token that is wanted at a
    position stands far above the others. So a token may come again, and what stands at a place
    does not depend on what came before: whatever else was said there, the script goes on behind it.
    """
    embedding = 512
    size = _vocabulary_size(vocabulary)
    positions = np.random.default_rng(0).standard_normal((context, embedding))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    output = np.zeros((size, embedding))
    np.add.at(output, list(script), positions[start - 1 :][: len(script)] * gain)

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, "float32")

    def norm(name: str) -> dict[str, Array]:
        return {f"{name}.weight": np.ones(embedding, "float32"), f"{name}.bias": zeros(embedding)}

    tensors: dict[str, Array] = {
        "token_embd.weight": zeros(size, embedding),
        "position_embd.weight": positions.astype("float32"),
        **norm("output_norm"),
        "output.weight": output.astype("float32"),
        **norm("blk.0.attn_norm"),
        "blk.0.attn_qkv.weight": zeros(3 * embedding, embedding),
        "blk.0.attn_qkv.bias": zeros(3 * embedding),
        "blk.0.attn_output.weight": zeros(embedding, embedding),
        "blk.0.attn_output.bias": zeros(embedding),
        **norm("blk.0.ffn_norm"),
        "blk.0.ffn_up.weight": zeros(32, embedding),
        "blk.0.ffn_up.bias": zeros(32),
        "blk.0.ffn_down.weight": zeros(embedding, 32),
        "blk.0.ffn_down.bias": zeros(embedding),
    }
    keys: dict[str, object] = {
        "general.architecture": "gpt2",
        "general.name": "scripted",
        "general.file_type": 0,
        "gpt2.context_length": context,
        "gpt2.embedding_length": embedding,
        "gpt2.block_count": 1,
        "gpt2.feed_forward_length": 32,
        "gpt2.attention.head_count": 4,
        "gpt2.attention.layer_norm_epsilon": 1e-5,
    }
    return write_gguf(path, {**keys, **vocabulary, **(metadata or {})}, tensors)


def with_tokens(
    vocabulary: Mapping[str, object], texts: Sequence[str], kind: int = CONTROL
) -> dict[str, object]:
    """The vocabulary and more tokens behind it, control tokens as it stands."""
    merged = dict(vocabulary)
    for key, more in (
        ("tokens", list(texts)),
        ("token_type", [kind] * len(texts)),
        ("scores", [0.0] * len(texts)),
    ):
        old = merged.get(f"tokenizer.ggml.{key}")
        if isinstance(old, list):
            merged[f"tokenizer.ggml.{key}"] = [*old, *more]
    return merged


def lora_adapter(
    path: Path,
    targets: Mapping[str, tuple[int, int]] | None = None,
    *,
    seed: int = 0,
    rank: int = 4,
    gain: float = 1.0,
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, Array] | None = None,
) -> Path:
    """A random LoRA adapter, by default for what `tiny_llama` has as attention's output.

    `targets` gives rows and columns of the matrices that it changes; a `gain` of zero changes
    nothing. `metadata` and `tensors` add some or take the place of them, None leaves one out.
    """
    draw = np.random.default_rng(seed)
    factors: dict[str, Array] = {}
    for name, (rows, columns) in (targets or {"blk.0.attn_output.weight": (64, 64)}).items():
        a = draw.standard_normal((rank, columns)) / columns**0.5
        b = draw.standard_normal((rows, rank)) * gain
        factors |= {f"{name}.lora_a": a.astype("float32"), f"{name}.lora_b": b.astype("float32")}
    keys: dict[str, object] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),
    }
    merged = {**keys, **(metadata or {})}
    return write_gguf(
        path, {k: v for k, v in merged.items() if v is not None}, {**factors, **(tensors or {})}
    )


def tiny_bert(
    path: Path,
    *,
    seed: int = 0,
    embedding: int = 64,
    blocks: int = 1,
    heads: int = 4,
    feed_forward: int = 128,
    context: int = 128,
    pooling: int | None = 1,
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, Array] | None = None,
) -> Path:
    """A random encoder that llama.cpp loads; 0.2 MB as it stands.

    `pooling` is 1 for the mean, 2 for the first token, 4 for a score of a pair; None leaves it out.
    `metadata` and `tensors` add some or take the place of them; None as a value of the metadata
    leaves one out.
    """
    draw = np.random.default_rng(seed)
    vocabulary = wpm_vocabulary()

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Array:
        values: Array = draw.standard_normal((rows, columns)) * gain / columns**0.5
        return values.astype("float32")

    def norm(name: str) -> dict[str, Array]:
        return {
            f"{name}.weight": np.ones(embedding, "float32"),
            f"{name}.bias": np.zeros(embedding, "float32"),
        }

    weights: dict[str, Array] = {
        "token_embd.weight": matrix(_vocabulary_size(vocabulary), embedding, embedding**0.5),
        "position_embd.weight": matrix(context, embedding),
        "token_types.weight": matrix(2, embedding),
        **norm("token_embd_norm"),
    }
    for block in range(blocks):
        weights |= {
            f"blk.{block}.attn_q.weight": matrix(embedding, embedding),
            f"blk.{block}.attn_k.weight": matrix(embedding, embedding),
            f"blk.{block}.attn_v.weight": matrix(embedding, embedding),
            f"blk.{block}.attn_output.weight": matrix(embedding, embedding),
            **norm(f"blk.{block}.attn_output_norm"),
            f"blk.{block}.ffn_up.weight": matrix(feed_forward, embedding),
            f"blk.{block}.ffn_down.weight": matrix(embedding, feed_forward),
            **norm(f"blk.{block}.layer_output_norm"),
        }
    if pooling == 4:
        weights |= {
            "cls.weight": matrix(embedding, embedding),
            "cls.bias": np.zeros(embedding, "float32"),
            "cls.output.weight": matrix(1, embedding, 4.0),
            "cls.output.bias": np.zeros(1, "float32"),
        }
    keys: dict[str, object] = {
        "general.architecture": "bert",
        "general.name": "tiny bert",
        "general.file_type": 0,
        "bert.context_length": context,
        "bert.embedding_length": embedding,
        "bert.block_count": blocks,
        "bert.feed_forward_length": feed_forward,
        "bert.attention.head_count": heads,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": pooling,
    }
    merged = {**keys, **vocabulary, **(metadata or {})}
    return write_gguf(
        path, {k: v for k, v in merged.items() if v is not None}, {**weights, **(tensors or {})}
    )


def tiny_projector(
    path: Path,
    *,
    seed: int = 0,
    embedding: int = 64,
    width: int = 16,
    image_size: int = 16,
    patch_size: int = 8,
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, Array | None] | None = None,
) -> Path:
    """A random projector without transformer blocks that mtmd loads; 34 KB as it stands.

    `embedding` is that of the language model; a picture becomes (image_size / patch_size)^2
    embeddings, 4 as it stands. `metadata` and `tensors` add some or take the place of them; None
    leaves one out.
    """
    draw = np.random.default_rng(seed)
    patches = (image_size // patch_size) ** 2

    def matrix(*shape: int, gain: float = 1.0) -> Array:
        values: Array = draw.standard_normal(shape) * gain / np.prod(shape[1:]) ** 0.5
        return values.astype("float32")

    weights: dict[str, Array | None] = {
        "v.patch_embd.weight": matrix(width, 3, patch_size, patch_size, gain=4.0),
        "v.position_embd.weight": matrix(patches, width),
        "mm.0.weight": matrix(embedding, width, gain=2.0),
        "mm.0.bias": np.zeros(embedding, "float32"),
        "mm.2.weight": matrix(embedding, embedding, gain=8.0),
        "mm.2.bias": np.zeros(embedding, "float32"),
    }
    keys: dict[str, object] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "general.name": "tiny projector",
        "general.file_type": 0,
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.vision.image_size": image_size,
        "clip.vision.patch_size": patch_size,
        "clip.vision.embedding_length": width,
        "clip.vision.feed_forward_length": 32,
        "clip.vision.block_count": 0,
        "clip.vision.attention.head_count": 2,
        "clip.vision.projection_dim": embedding,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
    }
    merged = {**keys, **(metadata or {})}
    held = {**weights, **(tensors or {})}
    return write_gguf(
        path,
        {k: v for k, v in merged.items() if v is not None},
        {k: v for k, v in held.items() if v is not None},
    )


def tiny_gemma3_projector(path: Path, *, embedding: int = 64, width: int = 16) -> Path:
    """One whose pictures are read without a causal mask: 64 patches of 8 x 8 pixels, pooled 2 x 2
    into 16 embeddings."""
    draw = np.random.default_rng(9)
    projection = (draw.standard_normal((width, embedding)) * 0.2 / width**0.5).astype("float32")
    return tiny_projector(
        path,
        embedding=embedding,
        width=width,
        image_size=64,
        patch_size=8,
        metadata={"clip.projector_type": "gemma3", "clip.vision.projector.scale_factor": 2},
        tensors={
            **dict.fromkeys(("mm.0.weight", "mm.0.bias", "mm.2.weight", "mm.2.bias")),
            "mm.input_projection.weight": projection,
            "mm.soft_emb_norm.weight": np.ones(width, "float32"),
        },
    )


def wpm_vocabulary() -> dict[str, object]:
    """A word piece vocabulary: five specials, every printable character at a word's start and
    within one, and some whole words."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = ["the", "cat", "dog", "sat", "on", "mat", "sky", "is", "blue", "why"]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*specials, *("▁" + text for text in (*characters, *words)), *characters]
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL, UNKNOWN, *[CONTROL] * 3]
        + [NORMAL] * (len(tokens) - len(specials)),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.eos_token_id": 3,
        "tokenizer.ggml.mask_token_id": 4,
    }


def spm_vocabulary() -> dict[str, object]:
    """354 tokens: three specials, the bytes, the blank and the printable characters of ASCII."""
    characters = ["▁", *(chr(code) for code in range(33, 127))]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(characters)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * 259 + [-1.0 - index for index in range(len(characters))],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def large_bpe_vocabulary(size: int, seed: int = 0) -> dict[str, object]:
    """As many tokens as large models have: bytes, and words, numbers, marks and signs of East Asia
    made from the seed, half of them with a blank in front. Made for output: it has no merges."""
    draw = np.random.default_rng(seed)
    kinds = ("abcdefghijklmnopqrstuvwxyz", "abcdeABCDE", "0123456789", "{}[]():;,.\"'<>/=_-")
    letters = _byte_letters()
    known = dict.fromkeys(letters.values())
    while len(known) < size - 3:
        kind = kinds[draw.choice(4, p=[0.7, 0.15, 0.1, 0.05])]
        word = "".join(draw.choice(list(kind), draw.integers(2, 9)))
        if draw.random() < 0.2:
            word = "".join(chr(code) for code in draw.integers(0x4E00, 0x9FFF, draw.integers(1, 3)))
        text = (" " if draw.random() < 0.5 else "") + word
        known["".join(letters[byte] for byte in text.encode())] = None
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return bpe_vocabulary() | {
        "tokenizer.ggml.tokens": [*known, *specials],
        "tokenizer.ggml.token_type": [NORMAL] * len(known) + [CONTROL] * len(specials),
        "tokenizer.ggml.merges": ["Ġ a"],
        "tokenizer.ggml.bos_token_id": len(known),
        "tokenizer.ggml.eos_token_id": len(known),
    }


def bpe_vocabulary() -> dict[str, object]:
    """262 tokens: the bytes, three merges, and the specials of ChatML."""
    letters = list(_byte_letters().values())
    merges = ["t h", "th e", "Ġ the"]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*letters, *(merge.replace(" ", "") for merge in merges), *specials]
    end = len(letters) + len(merges)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [NORMAL] * end + [CONTROL] * len(specials),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": end,
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.add_bos_token": False,
    }


def _llama_keys(
    embedding: int, blocks: int, heads: int, heads_kv: int | None, feed_forward: int, context: int
) -> dict[str, object]:
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": 0,
        "llama.context_length": context,
        "llama.embedding_length": embedding,
        "llama.block_count": blocks,
        "llama.feed_forward_length": feed_forward,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads_kv or heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": embedding // heads,
    }


def _vocabulary_size(vocabulary: Mapping[str, object]) -> int:
    tokens = vocabulary["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    return len(tokens)


def _byte_letters() -> dict[int, str]:
    """The letter by which GPT-2's tokenizer writes each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    return letters | {byte: chr(256 + index) for index, byte in enumerate(others)}


def _value(value: object, order: str) -> bytes:
    if isinstance(value, (list, tuple)):
        return _array(_kind(value[0], in_array=True) if value else 4, value, order)
    if isinstance(value, Typed) and isinstance(value.value, (list, tuple)):
        return _array(value.kind, value.value, order)
    kind = _kind(value, in_array=False)
    content = value.value if isinstance(value, Typed) else value
    return struct.pack(f"{order}I", kind) + _element(kind, content, order)


def _array(kind: int, values: Sequence[object], order: str) -> bytes:
    header = struct.pack(f"{order}IIQ", ARRAY, kind, len(values))
    return header + b"".join(_element(kind, value, order) for value in values)


def _kind(value: object, in_array: bool) -> int:
    if isinstance(value, Typed):
        return value.kind
    if isinstance(value, bool):
        return 7
    if isinstance(value, str):
        return STRING
    if isinstance(value, float):
        return 6
    assert isinstance(value, int), f"cannot tell the kind of {value!r}"
    if in_array or value < 0:
        return 5
    return 4 if value < 1 << 32 else 10


def _element(kind: int, value: object, order: str) -> bytes:
    if kind == STRING:
        assert isinstance(value, (str, bytes))
        return _string(value, order)
    return struct.pack(order + SCALARS[kind], value)


def _string(text: str | bytes, order: str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(f"{order}Q", len(data)) + data


def _padded(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)
