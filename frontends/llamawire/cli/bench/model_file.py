"""Models of random weights that never end an answer: fixed lengths for every sampler and seed.

How the end is made impossible: component 0 of every token's embedding is the same positive number,
and no block writes to it, so the last hidden state has it, positive, at every place. The rows of
the tokens that must not come (the specials, and bytes that are no text of their own) are zero but
for a large negative number there. All other tokens stand equal in it.

The embedding is small beside what the blocks add to it. Otherwise a model whose output is its
embedding would say its last token again for ever, which no real model does and which would flatter
whoever guesses ahead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from llamawire.cli.bench.shapes import Shape
from llamawire.cli.bench.vocabulary import SPECIALS, make_vocabulary

__all__ = ["write_model"]

CONTEXT = 32_768
EMBEDDING_SPREAD = 0.1
LOGIT_SPREAD = 3.0
"""Standard deviation of the logits; those of trained models are of this order."""
FORBIDDEN_SCALE = 16.0
"""Of the one block of a forbidden token's row that is not zero."""

ALIGNMENT, BLOCK, ROWS_AT_A_TIME = 32, 32, 4096
F32, Q4_0, Q8_0 = 0, 2, 8
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
FILE_TYPES = {"Q4_0": 2, "Q8_0": 7}
BYTES_PER_BLOCK = {Q4_0: 18, Q8_0: 34}
# Standard deviation of a weight in units of its block's scale.
SPREAD = {Q4_0: 4.32, Q8_0: 73.6}
NORMAL, CONTROL = 1, 3

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Bytes = npt.NDArray[np.uint8]


class Tensor:
    """Name, kind and shape (rows, columns; a vector has no rows)."""

    def __init__(self, name: str, kind: int, columns: int, rows: int = 0, gain: float = 1.0):
        self.name, self.kind, self.columns, self.rows, self.gain = name, kind, columns, rows, gain

    @property
    def size(self) -> int:
        if self.kind == F32:
            return 4 * self.columns
        return self.rows * self.columns // BLOCK * BYTES_PER_BLOCK[self.kind]


def write_model(path: Path, shape: Shape, seed: int = 0) -> None:
    """The same bytes for the same shape and seed."""
    draw = np.random.default_rng(seed)
    tensors = list(model_tensors(shape))
    tokens, merges = make_vocabulary(shape.vocabulary)
    with path.open("wb") as file:
        write_head(file, metadata(shape, tokens, merges), tensors)
        for tensor in tensors:
            for part in tensor_bytes(tensor, shape, draw):
                file.write(part)
            file.write(b"\0" * (-tensor.size % ALIGNMENT))


def model_tensors(shape: Shape) -> Iterator[Tensor]:
    width, inner = shape.width, shape.feed_forward
    kind = Q4_0 if shape.type == "Q4_0" else Q8_0
    yield Tensor("token_embd.weight", Q8_0, width, shape.vocabulary)
    yield Tensor("output_norm.weight", F32, width)
    for block in range(shape.blocks):
        for name, columns, rows in (
            ("attn_norm", width, 0),
            ("attn_q", width, width),
            ("attn_k", width, shape.width_kv),
            ("attn_v", width, shape.width_kv),
            ("attn_output", width, width),
            ("ffn_norm", width, 0),
            ("ffn_gate", width, inner),
            ("ffn_up", width, inner),
            ("ffn_down", inner, width),
        ):
            yield Tensor(f"blk.{block}.{name}.weight", kind if rows else F32, columns, rows)


def tensor_bytes(tensor: Tensor, shape: Shape, draw: np.random.Generator) -> Iterator[bytes]:
    if tensor.kind == F32:
        value = 1.0
        if tensor.name == "output_norm.weight":
            value = LOGIT_SPREAD / (EMBEDDING_SPREAD * shape.width**0.5)
        yield np.full(tensor.columns, value, "<f4").tobytes()
        return
    is_embedding = tensor.name == "token_embd.weight"
    spread = EMBEDDING_SPREAD if is_embedding else tensor.columns**-0.5
    silences = tensor.name.endswith(("attn_output.weight", "ffn_down.weight"))
    for first in range(0, tensor.rows, ROWS_AT_A_TIME):
        rows = min(ROWS_AT_A_TIME, tensor.rows - first)
        blocks = random_blocks(draw, tensor.kind, rows, tensor.columns, spread)
        if is_embedding:
            blocks[:, 0, 2] = 127
            forbid(
                blocks, [t - first for t in forbidden(shape.vocabulary) if 0 <= t - first < rows]
            )
        elif silences and first == 0:
            blocks[0, :, :2] = 0  # a scale of zero
        yield blocks.tobytes()


def random_blocks(
    draw: np.random.Generator, kind: int, rows: int, columns: int, spread: float
) -> Bytes:
    """Quantized weights of mean 0; shape [rows, columns / 32, bytes of a block]."""
    shape = (rows, columns // BLOCK)
    blocks = np.empty((*shape, BYTES_PER_BLOCK[kind]), np.uint8)
    scale = np.array([spread / SPREAD[kind]], "<f2").view(np.uint8)
    blocks[..., :2] = scale
    if kind == Q8_0:
        blocks[..., 2:] = draw.integers(-127, 128, (*shape, 32), np.int8).view(np.uint8)
    else:  # two numbers of 4 bits a byte, of which 8 is subtracted; without the lowest
        low, high = (draw.integers(1, 16, (*shape, 16), np.uint8) for _ in range(2))
        blocks[..., 2:] = low | high << 4
    return blocks


def forbid(blocks: Bytes, rows: list[int]) -> None:
    blocks[rows] = 0
    blocks[rows, 0, :2] = np.array([FORBIDDEN_SCALE], "<f2").view(np.uint8)
    blocks[rows, 0, 2] = np.uint8(256 - 127)


def forbidden(vocabulary: int) -> list[int]:
    """The ids of bytes that cannot be printed, and of the specials."""
    unprintable = [byte for byte in range(256) if not 32 <= byte < 127]
    return [*unprintable, *range(vocabulary - len(SPECIALS), vocabulary)]


def metadata(shape: Shape, tokens: list[str], merges: list[str]) -> dict[str, bytes]:
    """Each value as the file has it: its kind and its bytes."""
    end = len(tokens) - len(SPECIALS)
    return {
        "general.architecture": text("llama"),
        "general.name": text(shape.name),
        "general.file_type": number(UINT32, FILE_TYPES[shape.type]),
        "llama.context_length": number(UINT32, CONTEXT),
        "llama.embedding_length": number(UINT32, shape.width),
        "llama.block_count": number(UINT32, shape.blocks),
        "llama.feed_forward_length": number(UINT32, shape.feed_forward),
        "llama.attention.head_count": number(UINT32, shape.heads),
        "llama.attention.head_count_kv": number(UINT32, shape.heads_kv),
        "llama.attention.layer_norm_rms_epsilon": number(FLOAT32, 1e-5),
        "llama.rope.dimension_count": number(UINT32, shape.width // shape.heads),
        "llama.rope.freq_base": number(FLOAT32, 100_000.0),
        "tokenizer.ggml.model": text("gpt2"),
        "tokenizer.ggml.pre": text("gpt-2"),
        "tokenizer.ggml.tokens": array(STRING, [string(token) for token in tokens]),
        "tokenizer.ggml.token_type": array(
            INT32, [struct.pack("<i", NORMAL if t < end else CONTROL) for t in range(len(tokens))]
        ),
        "tokenizer.ggml.merges": array(STRING, [string(merge) for merge in merges]),
        "tokenizer.ggml.bos_token_id": number(UINT32, end),
        "tokenizer.ggml.eos_token_id": number(UINT32, end),
        "tokenizer.ggml.add_bos_token": struct.pack("<I?", BOOL, False),
        "tokenizer.chat_template": text(CHAT_TEMPLATE),
    }


def write_head(file: BinaryIO, values: dict[str, bytes], tensors: list[Tensor]) -> None:
    """Everything before the first tensor's data."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(string(key) + value for key, value in values.items())
    offset = 0
    for tensor in tensors:
        dimensions = (tensor.columns, tensor.rows) if tensor.rows else (tensor.columns,)
        head += string(tensor.name)
        head += struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        head += struct.pack("<IQ", tensor.kind, offset)
        offset += tensor.size + -tensor.size % ALIGNMENT
    file.write(head + b"\0" * (-len(head) % ALIGNMENT))


def string(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def text(value: str) -> bytes:
    return struct.pack("<I", STRING) + string(value)


def number(kind: int, value: float) -> bytes:
    return struct.pack("<If" if kind == FLOAT32 else "<II", kind, value)


def array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(items)
