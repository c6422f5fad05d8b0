"""Models that come in several files: which belong together, and one file made of them.

llama.cpp finds the files of a split model by their names. Blobs have other names, so the store
keeps one file.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from llamawire.engine.store.blobs import Blob
from llamawire.engine.store.create_request import Progress
from llamawire.engine.store.errors import CreateError, InvalidGguf
from llamawire.engine.store.gguf import Gguf, validate_gguf
from llamawire.engine.store.gguf.merge import merge, merged_size
from llamawire.engine.store.library import Library

__all__ = ["Shard", "merged", "shard_of"]

# Clients draw a bar for each digest; work on a file that has none yet is shown under this one.
NO_DIGEST = "0000000000000000000"

_NAME = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf", re.DOTALL)


@dataclass(frozen=True)
class Shard:
    """One file of a split model. `index` counts from 1, as in file names."""

    path: str
    prefix: str
    index: int
    count: int
    gguf: Gguf

    @property
    def group(self) -> tuple[str, int]:
        """What the files of one model have in common."""
        return self.prefix, self.count


def shard_of(path: str, gguf: Gguf) -> Shard | None:
    """What the file is a part of; None if it is a whole. Raises CreateError, InvalidGguf."""
    count = _number(gguf, "split.count")
    if count is None or count <= 1:
        return None
    match = _NAME.fullmatch(path)
    if match is None:
        raise _failed(f'split GGUF "{path}" must use llama.cpp split filename pattern')
    index, named_count = int(match[2]), int(match[3])
    if named_count != count:
        raise _failed(
            f'split GGUF "{path}" filename count {named_count} '
            f"does not match metadata count {count}"
        )
    number = _number(gguf, "split.no")
    if number is None:
        raise _failed(f'split GGUF "{path}" is missing split.no metadata')
    if index != number + 1:
        raise _failed(
            f'split GGUF "{path}" filename index {index} does not match metadata index {number + 1}'
        )
    return Shard(path, match[1], index, count, gguf)


def merged(
    library: Library, shards: Sequence[Shard]
) -> Generator[Progress, None, tuple[Blob, Gguf]]:
    """One file of all of them, validated. Raises CreateError, InvalidGguf, OSError."""
    parts = [shard.gguf for shard in _complete(shards)]
    total = merged_size(parts)
    with library.blobs.writer() as writer:
        for done in merge(parts, writer.write):
            yield Progress("merging split GGUF", NO_DIGEST, total, done)
        blob = writer.commit()
    return blob, validate_gguf(library.blobs.require(blob.digest))


def _complete(shards: Sequence[Shard]) -> list[Shard]:
    """The shards in order, if each of them is there once."""
    first = shards[0]
    if len(shards) != first.count:
        raise _failed(f'split GGUF "{first.path}" has {len(shards)} shards, expected {first.count}')
    found: dict[int, Shard] = {}
    for shard in shards:
        if not 1 <= shard.index <= shard.count:
            raise _failed(f'split GGUF "{shard.path}" has invalid shard index {shard.index}')
        if shard.index in found:
            raise _failed(f"split GGUF has duplicate shard index {shard.index}")
        found[shard.index] = shard
    ordered = [found[index] for index in sorted(found)]
    tensors = sum(len(shard.gguf.tensors) for shard in ordered)
    expected = _number(ordered[0].gguf, "split.tensors.count")
    if expected is not None and expected != tensors:
        raise _failed(f'split GGUF "{first.path}" has {tensors} tensors, expected {expected}')
    return ordered


def _number(gguf: Gguf, name: str) -> int | None:
    """A number that some writers put the architecture in front of."""
    for key in (name, gguf.key(name)):
        value = gguf.metadata.get(key)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool):
                raise InvalidGguf(f"{key} must be an integer")
            return value
    return None


def _failed(text: str) -> CreateError:
    return CreateError(text, "INTERNAL", "CREATE_FAILED")
