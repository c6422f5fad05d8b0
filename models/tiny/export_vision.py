"""Puts eyes and adapter into two GGUF files, as llama.cpp's clip and its LoRA reader want them, and
back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import export
import gguf_file as gguf
import lora
import numpy as np
import torch
from eyes import Eyes, Sight
from model import Tiny
from tokenizer import Tokenizer
from torch import Tensor

HALF = 0.5
"""Mean and deviation of a pixel, so that the eyes see numbers from -1 to 1."""


def eyes_metadata(sight: Sight) -> gguf.Metadata:
    def number(value: int) -> tuple[int, int]:
        return gguf.UINT32, value

    return {
        "general.architecture": (gguf.STRING, "clip"),
        "general.type": (gguf.STRING, "mmproj"),
        "general.name": (gguf.STRING, "tiny-vision"),
        "general.author": (gguf.STRING, "llamawire"),
        "general.license": (gguf.STRING, export.LICENSE),
        "general.file_type": number(export.MOSTLY_F16),
        "clip.has_vision_encoder": (gguf.BOOL, True),
        "clip.projector_type": (gguf.STRING, "mlp"),
        "clip.use_silu": (gguf.BOOL, True),
        "clip.vision.image_size": number(sight.image),
        "clip.vision.patch_size": number(sight.patch),
        "clip.vision.embedding_length": number(sight.width),
        "clip.vision.feed_forward_length": number(sight.feed_forward),
        "clip.vision.block_count": number(sight.layers),
        # A LLaVA projector would leave out the last block unless told which one to read.
        "clip.vision.feature_layer": (gguf.INT32, [sight.layers]),
        "clip.vision.attention.head_count": number(sight.heads),
        "clip.vision.attention.layer_norm_epsilon": (gguf.FLOAT32, sight.norm_epsilon),
        "clip.vision.projection_dim": number(sight.words),
        "clip.vision.image_mean": (gguf.FLOAT32, [HALF] * 3),
        "clip.vision.image_std": (gguf.FLOAT32, [HALF] * 3),
    }


ADAPTER_METADATA: gguf.Metadata = {
    "general.architecture": (gguf.STRING, "llama"),
    "general.type": (gguf.STRING, "adapter"),
    "general.name": (gguf.STRING, "tiny-vision"),
    "general.author": (gguf.STRING, "llamawire"),
    "general.license": (gguf.STRING, export.LICENSE),
    "adapter.type": (gguf.STRING, "lora"),
    "adapter.lora.alpha": (gguf.FLOAT32, lora.ALPHA),
}


def write_eyes(eyes: Eyes, path: Path) -> None:
    gguf.write(path, eyes_metadata(eyes.sight), dict(_stored(eyes.named_parameters())))


def write_adapter(tiny: Tiny, path: Path) -> None:
    gguf.write(path, ADAPTER_METADATA, dict(_stored(lora.adapter(tiny))))


def _stored(parameters: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Matrices as 16-bit floats, vectors as 32-bit ones."""
    for name, weight in parameters:
        yield name, weight.detach().numpy().astype("<f2" if weight.dim() > 1 else "<f4")


def read_eyes(path: Path) -> Eyes:
    """The eyes of a file that `write_eyes` wrote, of the sizes that `Sight` has."""
    eyes = Eyes(Sight())
    eyes.load_state_dict(_tensors(path))
    return eyes


def read_tiny(weights: Path, adapter: Path) -> tuple[Tiny, Tokenizer]:
    """Model and vocabulary of the weights, with an adapter that `write_adapter` wrote."""
    tiny, tokens = export.read(weights)
    lora.adapt(tiny)
    tensors = _tensors(adapter)
    with torch.no_grad():
        for name, parameter in lora.adapter(tiny):
            parameter.copy_(tensors[name])
    return tiny, tokens


def _tensors(path: Path) -> dict[str, Tensor]:
    _, tensors = gguf.read(path)
    return {name: torch.from_numpy(tensor.astype(np.float32)) for name, tensor in tensors.items()}
