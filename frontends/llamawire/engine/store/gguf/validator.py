"""Decides whether llama.cpp may see a GGUF file.

llama.cpp checks a file's structure and then trusts its numbers: a block count out of range, two
tokens with one text or a head count that does not divide end the process by an assertion. So the
numbers are checked here first, each against a limit with a name. What makes llama.cpp answer with
an ordinary error (a missing key, an architecture that it does not know) is left to it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from llamawire.engine.store.errors import InvalidGguf
from llamawire.engine.store.gguf.adapter import check_adapter
from llamawire.engine.store.gguf.counts import count, counts
from llamawire.engine.store.gguf.header import Gguf, GgufArray
from llamawire.engine.store.gguf.heads import check_head_sizes
from llamawire.engine.store.gguf.projector import check_projector
from llamawire.engine.store.gguf.reader import read_gguf
from llamawire.engine.store.gguf.tables import STRING
from llamawire.engine.store.gguf.weights import check_weights

__all__ = ["validate_gguf"]

VERSIONS = (2, 3)
ALIGNMENT_MAX = 4096
ARRAY_ELEMENTS_MAX = 1 << 24
BLOCKS_MAX = 512
EXPERTS_MAX = 1024
TENSOR_NAME_BYTES_MAX = 63
VOCABULARY_MAX = 1 << 21
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
NO_TOKEN = 0xFFFF_FFFF  # How converters write "there is no such token".

_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN_ID = re.compile(r"tokenizer\.ggml\.[a-z_]+_token_id")
_TOKENS = "tokenizer.ggml.tokens"

# The numbers of experts are corrected, not asserted, for these.
_EXPERTS_MAY_BE_ONE = ("hunyuan_vl", "hunyuan-dense")


def validate_gguf(path: Path, role: str | None = None) -> Gguf:
    """The header of a file that llama.cpp may load as what it says it is, or as `role`.

    Give the role ("model", "projector", "adapter") where something else than the file has decided
    it, as a pulled manifest does: a file may lie, and each kind is asked for what is its own.

    Raises InvalidGguf with a text that names the key or tensor, and OSError. Reads the header
    and the vocabulary once; the data of the tensors is not looked at.
    """
    gguf = read_gguf(path)
    _check_format(gguf)
    _check_metadata(gguf)
    _check_tensors(gguf)
    role = role or gguf.role
    if role == "model":
        _check_blocks(gguf)
        _check_heads(gguf)
        check_head_sizes(gguf)
        check_weights(gguf)
        _check_experts(gguf)
    if role == "adapter":
        check_adapter(gguf)
    if (role or gguf.role) == "projector":
        check_projector(gguf)
    _check_vocabulary(gguf)
    return gguf


def _check_format(gguf: Gguf) -> None:
    native = "<" if sys.byteorder == "little" else ">"
    if gguf.byte_order != native:
        raise InvalidGguf(f"this machine needs a {sys.byteorder}-endian GGUF")
    if gguf.version not in VERSIONS:
        raise InvalidGguf(f"GGUF version {gguf.version} is not supported, only 2 and 3 are")
    has_alignment = gguf.has("general.alignment")
    if has_alignment and gguf.integer("general.alignment") is None:
        raise InvalidGguf("general.alignment must be an integer")
    alignment = gguf.alignment
    if alignment > ALIGNMENT_MAX or alignment & (alignment - 1):
        raise InvalidGguf(f"invalid GGUF alignment: {alignment}")


def _check_metadata(gguf: Gguf) -> None:
    architecture = gguf.text("general.architecture")
    if architecture is None or not _ARCHITECTURE.fullmatch(architecture):
        raise InvalidGguf("general.architecture must be the name of an architecture")
    for key, value in gguf.metadata.items():
        # llama.cpp looks keys up as C strings: what follows a NUL would hide from us.
        if not key or "\0" in key:
            raise InvalidGguf(f"GGUF key {key!r} is not a name")
        if isinstance(value, GgufArray) and value.count > ARRAY_ELEMENTS_MAX:
            raise InvalidGguf(
                f"GGUF array {key} of {value.count} elements exceeds maximum {ARRAY_ELEMENTS_MAX}"
            )


def _check_tensors(gguf: Gguf) -> None:
    seen: set[str] = set()
    for tensor in gguf.tensors:
        name = tensor.name
        if not name or "\0" in name or len(name.encode()) > TENSOR_NAME_BYTES_MAX:
            raise InvalidGguf(f"tensor {name[:100]!r} does not have a proper name")
        if name in seen:
            raise InvalidGguf(f'tensor "{name}" appears twice')
        if tensor.elements == 0:
            raise InvalidGguf(f'tensor "{name}" has no elements')
        if tensor.offset % gguf.alignment:
            raise InvalidGguf(f'tensor "{name}" is not aligned to {gguf.alignment}')
        seen.add(name)


def _check_blocks(gguf: Gguf) -> None:
    blocks = count(gguf, "block_count", 1, BLOCKS_MAX)
    count(gguf, "nextn_predict_layers", 0, BLOCKS_MAX if blocks is None else blocks)
    count(gguf, "context_length", 1, (1 << 31) - 1)
    count(gguf, "embedding_length", 1, (1 << 31) - 1)
    scaling = gguf.text("rope.scaling.type")
    if scaling is not None and scaling not in ROPE_SCALINGS:
        raise InvalidGguf(f"{gguf.key('rope.scaling.type')} {scaling[:100]!r} is not known")


def _check_heads(gguf: Gguf) -> None:
    heads = counts(gguf, "attention.head_count")
    groups = counts(gguf, "attention.head_count_kv")
    if heads and groups:
        for heads_of_block, groups_of_block in _pairs(heads, groups):
            # A block without attention has zero of either.
            if heads_of_block and groups_of_block and heads_of_block % groups_of_block:
                raise InvalidGguf(
                    f"{heads_of_block} attention heads cannot share {groups_of_block} key heads"
                )
    embedding = gguf.integer("embedding_length")
    is_derived = not gguf.has("attention.key_length")
    if heads and embedding is not None and is_derived and heads[0] and embedding % heads[0]:
        raise InvalidGguf(f"an embedding of {embedding} does not divide into {heads[0]} heads")


def _pairs(heads: list[int], groups: list[int]) -> Iterable[tuple[int, int]]:
    """Heads and key heads of each block; a single number stands for all blocks."""
    blocks = max(len(heads), len(groups))
    heads = heads * blocks if len(heads) == 1 else heads
    groups = groups * blocks if len(groups) == 1 else groups
    return zip(heads, groups, strict=False)


def _check_experts(gguf: Gguf) -> None:
    experts = count(gguf, "expert_count", 0, EXPERTS_MAX) or 0
    if gguf.architecture in _EXPERTS_MAY_BE_ONE and experts <= 1:
        return
    used = max(counts(gguf, "expert_used_count") or [0])
    groups = count(gguf, "expert_group_count", 0, max(experts - 1, 0)) or 0
    used_groups = count(gguf, "expert_group_used_count", 0, EXPERTS_MAX) or 0
    if used > experts or (experts and not used):
        raise InvalidGguf(f"{used} of {experts} experts cannot be used")
    if groups > 1 and (experts % groups or not 0 < used_groups < groups):
        raise InvalidGguf(f"{used_groups} of {groups} groups of {experts} experts cannot be used")


def _check_vocabulary(gguf: Gguf) -> None:
    if not gguf.has(_TOKENS):
        return
    tokens = gguf.array(_TOKENS)
    if tokens is None or tokens.kind != STRING:
        raise InvalidGguf(f"{_TOKENS} must be a list of strings")
    if tokens.count > VOCABULARY_MAX:
        raise InvalidGguf(f"{tokens.count} tokens exceed maximum {VOCABULARY_MAX}")
    for key in gguf.metadata:
        if _TOKEN_ID.fullmatch(key):
            _check_token_id(gguf, key, tokens.count)
    seen: set[bytes] = set()
    for index, token in enumerate(gguf.raw_strings(tokens)):
        # As llama.cpp will see it: cut at a NUL, and with a name if nothing is left.
        text = token.partition(b"\0")[0] or b"[EMPTY_%d]" % index
        if text in seen:
            raise InvalidGguf(f"token {text[:100].decode('utf-8', 'replace')!r} appears twice")
        seen.add(text)


def _check_token_id(gguf: Gguf, key: str, tokens: int) -> None:
    token = gguf.integer(key)
    if token is None:
        raise InvalidGguf(f"{key} must be an integer")
    if not 0 <= token < tokens and token not in (NO_TOKEN, -1):
        raise InvalidGguf(f"{key} {token} is not one of {tokens} tokens")
