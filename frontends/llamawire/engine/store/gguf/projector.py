"""What mtmd, llama.cpp's library for images, asserts of a projector file, asked before it does.

Numbers are checked for every kind of projector. The shapes of tensors are checked for the plain
kind, `mlp`; a file of another kind that lies about them ends the worker that loads it, and the load
fails with that.
"""

from __future__ import annotations

import math

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.counts import count
from llamawire.engine.store.gguf.header import Gguf, TensorInfo
from llamawire.engine.store.gguf.tables import BOOL, FLOAT32, INT32, STRING, UINT32
from llamawire.engine.store.gguf.weights import check_kinds

__all__ = ["check_projector"]

BLOCKS_MAX = 512
HEADS_MAX = 4096
SIDE_MAX = 8192
TILES_MAX = 64
NUMBER_MAX = 1 << 24
MERGE_MAX = 64
PIXELS_MAX = 1 << 28

# How mtmd reads what it knows, whatever kind the file says it is of.
_KINDS = {
    BOOL: ("clip.has_vision_encoder", "clip.has_audio_encoder", "clip.use_gelu", "clip.use_silu"),
    STRING: ("general.name", "general.description", "clip.projector_type",
             "clip.vision.projector_type", "clip.vision.mm_patch_merge_type"),
    FLOAT32: ("clip.vision.attention.layer_norm_epsilon", "clip.vision.swiglu_clamp"),
    INT32: ("clip.minicpmv_version",),
    UINT32: ("clip.minicpmv_query_num", "clip.vision.sam.head_count", "clip.vision.sam.block_count",
             "clip.vision.sam.embedding_length", "clip.vision.expert_used_count"),
}  # fmt: skip
# Beside those that a plain projector needs; a number for each of its channels.
_VECTORS = ("v.patch_embd.bias", "v.class_embd", "v.pre_ln.weight", "v.pre_ln.bias",
            "v.post_ln.weight", "v.post_ln.bias")  # fmt: skip

DEPEND_ON_PROMPT = ("deepseek4v", "hunyuanvl")
"""Kinds whose embeddings depend on where in the prompt a picture stands."""


def check_projector(gguf: Gguf) -> None:
    """Raises InvalidGguf with a text that names the key or tensor."""
    if gguf.architecture != "clip":
        if any(key.startswith("clip.") for key in gguf.metadata):
            raise InvalidGguf(f"a file of architecture {gguf.architecture} has keys of clip")
        return  # mtmd finds nothing in it
    if not gguf.flag("has_vision_encoder"):
        return  # hears only; nothing of ours loads it
    kind = gguf.text("projector_type") or gguf.text("vision.projector_type") or ""
    if kind in DEPEND_ON_PROMPT:
        raise InvalidGguf(f"clip.projector_type {kind} is not supported")
    for value_kind, keys in _KINDS.items():
        for key in keys:
            _check_kind(gguf, key, value_kind)
    _check_numbers(gguf)
    _check_colours(gguf)
    check_kinds(gguf)
    if kind == "mlp":
        _check_mlp(gguf)


def _check_kind(gguf: Gguf, key: str, kind: int) -> None:
    place = gguf.places.get(key)
    if place is not None and place.kind != kind:
        raise InvalidGguf(f"{key} is of kind {place.kind}, not {kind}")


def _check_numbers(gguf: Gguf) -> None:
    for name, least, most in (
        ("vision.image_size", 0, SIDE_MAX),
        ("vision.preproc_image_size", 1, SIDE_MAX),
        ("vision.patch_size", 1, SIDE_MAX),
        ("vision.embedding_length", 1, NUMBER_MAX),
        ("vision.feed_forward_length", 0, NUMBER_MAX),
        ("vision.projection_dim", 0, NUMBER_MAX),
        ("vision.block_count", 0, BLOCKS_MAX),
        ("vision.attention.head_count", 1, HEADS_MAX),
        ("vision.attention.head_count_kv", 1, HEADS_MAX),
        ("vision.attention.head_dim", 1, NUMBER_MAX),
        ("vision.projector.scale_factor", 1, MERGE_MAX),
        ("vision.projector.query_side", 1, MERGE_MAX),
        ("vision.projector.window_side", 1, MERGE_MAX),
        ("vision.spatial_merge_size", 1, MERGE_MAX),
        ("vision.image_min_pixels", 1, PIXELS_MAX),
        ("vision.image_max_pixels", 1, PIXELS_MAX),
        ("vision.preproc_min_tiles", 0, TILES_MAX),
        ("vision.preproc_max_tiles", 0, TILES_MAX),
        ("vision.window_size", 0, 4096),
        ("vision.n_wa_pattern", 0, BLOCKS_MAX),
    ):
        count(gguf, name, least, most)
        _check_kind(gguf, gguf.key(name), UINT32)
    embedding = gguf.integer("vision.embedding_length")
    heads = gguf.integer("vision.attention.head_count")
    if embedding and heads and not gguf.has("vision.attention.head_dim") and embedding % heads:
        raise InvalidGguf(f"an embedding of {embedding} does not divide into {heads} heads")
    size, patch = gguf.integer("vision.image_size"), gguf.integer("vision.patch_size")
    if size and patch and size < patch:
        raise InvalidGguf(f"a picture of {size} pixels has no patch of {patch}")
    blocks = gguf.integer("vision.block_count") or 0
    layers = gguf.integers("vision.feature_layer") or []
    if any(not 0 <= layer <= blocks for layer in layers):
        raise InvalidGguf(f"clip.vision.feature_layer has layers outside 0 to {blocks}")
    sides = gguf.integers("vision.image_grid_pinpoints") or []
    if len(sides) > 2 * TILES_MAX or any(not 0 < side <= SIDE_MAX for side in sides):
        raise InvalidGguf(f"clip.vision.image_grid_pinpoints are not sides up to {SIDE_MAX}")


def _check_colours(gguf: Gguf) -> None:
    epsilon = gguf.number("vision.attention.layer_norm_epsilon")
    if epsilon is not None and not (math.isfinite(epsilon) and epsilon >= 0):
        raise InvalidGguf("clip.vision.attention.layer_norm_epsilon is not a positive number")
    for name in ("vision.image_mean", "vision.image_std"):
        array = gguf.array(name)
        if array is None:
            continue  # mtmd says so itself
        given = list(gguf.elements(array)) if array.count == 3 else []
        values = [value for value in given if isinstance(value, float) and math.isfinite(value)]
        if len(values) != 3:
            raise InvalidGguf(f"{gguf.key(name)} must be three finite numbers")
        if name.endswith("std") and not all(values):
            raise InvalidGguf(f"{gguf.key(name)} must not be zero")


def _check_mlp(gguf: Gguf) -> None:
    width = gguf.integer("vision.embedding_length")
    size, patch = gguf.integer("vision.image_size"), gguf.integer("vision.patch_size")
    if not (width and size and patch):
        raise InvalidGguf("clip.vision has no embedding_length, image_size or patch_size")
    tensors = {tensor.name: tensor for tensor in gguf.tensors}
    places = (size // patch) ** 2 + ("v.class_embd" in tensors)
    _check_shape(tensors, "v.patch_embd.weight", (patch, patch, 3, width))
    _check_shape(tensors, "v.position_embd.weight", (width, None))
    for name in _VECTORS:
        if name in tensors:
            _check_shape(tensors, name, (width,))
    if tensors["v.position_embd.weight"].shape[1] < places:
        raise InvalidGguf(f'tensor "v.position_embd.weight" has not {places} places')
    _check_shape(tensors, "mm.0.weight", (width, None))
    hidden = tensors["mm.0.weight"].shape[1]
    _check_shape(tensors, "mm.0.bias", (hidden,))
    _check_shape(tensors, "mm.2.weight", (hidden, None))
    _check_shape(tensors, "mm.2.bias", (tensors["mm.2.weight"].shape[1],))
    feed_forward = gguf.integer("vision.feed_forward_length") or 0
    for block in range(gguf.integer("vision.block_count") or 0):
        prefix = f"v.blk.{block}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            _check_shape(tensors, f"{prefix}.{name}.weight", (width, width))
        for name in ("ln1", "ln2"):
            _check_shape(tensors, f"{prefix}.{name}.weight", (width,))
        up = (width, feed_forward)
        # Old files have the two the wrong way round, and mtmd swaps them back.
        if f"{prefix}.ffn_up.weight" in tensors:
            shape = tensors[f"{prefix}.ffn_up.weight"].shape
            up = up if _fits(shape, up) else up[::-1]
        _check_shape(tensors, f"{prefix}.ffn_up.weight", up)
        _check_shape(tensors, f"{prefix}.ffn_down.weight", up[::-1])


def _check_shape(tensors: dict[str, TensorInfo], name: str, wanted: tuple[int | None, ...]) -> None:
    """The sides of a tensor, innermost first; None is any."""
    if name not in tensors:
        raise InvalidGguf(f'a projector needs the tensor "{name}"')
    if not _fits(tensors[name].shape, wanted):
        sides = " x ".join("?" if side is None else str(side) for side in wanted)
        raise InvalidGguf(f'tensor "{name}" must be {sides}')


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    # Sides of 1 at the end say nothing.
    padded = tuple(shape) + (1,) * (len(wanted) - len(shape))
    return len(padded) == len(wanted) and all(
        side is None or side == have for side, have in zip(wanted, padded, strict=True)
    )
