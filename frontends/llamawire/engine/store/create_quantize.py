"""Weights in another type: what may be asked for, and the new file in the store.

The work itself is handed in, since it runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

from llamawire.engine.store.create_parts import Parts
from llamawire.engine.store.create_request import Progress
from llamawire.engine.store.errors import CreateError
from llamawire.engine.store.gguf import Gguf, validate_gguf
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import MODEL, Layer
from llamawire.engine.store.temps import locked_folder

__all__ = ["Quantize", "quantized"]

Quantize = Callable[[Path, Path, str], Iterator[float]]
"""Writes the second file from the first in a type; yields the share that is done."""

NO_DIGEST = "0" * 19
SOURCES = ("F32", "F16", "BF16")
ALIASES = {"Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q3_K": "Q3_K_M"}
TYPES = (
    *SOURCES,
    *("Q8_0", "Q6_K", "Q5_0", "Q5_1", "Q5_K_S", "Q5_K_M", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M"),
    *("Q3_K_S", "Q3_K_M", "Q3_K_L", "Q2_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_M"),
    *("TQ1_0", "TQ2_0", "MXFP4_MOE", "Q1_0", "Q2_0"),
)
# llama.cpp makes these only by statistics of how the model computes, which nobody can give us.
IMATRIX_TYPES = (
    *("Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"),
)


def quantized(
    library: Library, parts: Parts, type_: str, quantize: Quantize
) -> Generator[Progress, None, Parts]:
    """The parts with their weights in that type; the same parts if they have it already.

    Raises CreateError, InvalidGguf, OSError; then nothing is left of the new file.
    """
    wanted = ALIASES.get(type_.upper(), type_.upper())
    if wanted not in TYPES:
        why = ", which needs an importance matrix" if wanted in IMATRIX_TYPES else ""
        text = f"unsupported quantization type {wanted}{why} - supported types are "
        raise CreateError(text + ", ".join(TYPES), "INTERNAL", "CREATE_FAILED")
    if parts.weights is None:
        raise CreateError("no base model was found")
    have = source_type(parts.weights)
    if have == wanted:
        return parts
    if have not in SOURCES:
        text = "quantization is only supported for F16, BF16 and F32 models"
        raise CreateError(text, "INTERNAL", "CREATE_FAILED")
    old = next(layer for layer in reversed(parts.layers) if layer.media_type == MODEL)
    source = (parts.base.source if parts.base else library.blobs).require(old.digest)
    library.blobs.folder.mkdir(parents=True, exist_ok=True)
    # In the folder of the blobs, so that the new file is renamed and not copied.
    with locked_folder(library.blobs.folder) as folder:
        target = folder / "weights.gguf"
        for share in quantize(source, target, wanted):
            yield Progress(
                f"quantizing {have} model to {wanted}", NO_DIGEST, old.size, int(old.size * share)
            )
        yield Progress("verifying conversion")
        gguf = validate_gguf(target, role="model")
        blob = library.blobs.adopt(target)
    new = Layer(MODEL, blob.digest, blob.size)
    layers = tuple(new if layer is old else layer for layer in parts.layers)
    return replace(parts.with_made(blob), layers=layers, weights=gguf)


def source_type(gguf: Gguf) -> str:
    """The type of the weights; a file that does not say is F32 if all its tensors are."""
    if gguf.file_type in ("unknown", "F32") and all(
        tensor.type_name == "F32" for tensor in gguf.tensors
    ):
        return "F32"
    return gguf.file_type
