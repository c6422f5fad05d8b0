"""What is cleaned up when a server starts, by the rules that Ollama has.

A file in `blobs` goes if no manifest names it and it is older than an hour: younger ones may
belong to a model that is just being made, by us or by an Ollama beside us. If a single manifest
cannot be read, nothing goes, since nobody knows what it names. The files of one download are as
old as the youngest of them: its finished parts are not written to any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from llamawire.engine.store.blobs import Blobs, normalize_digest
from llamawire.engine.store.errors import InvalidDigest, StoreError
from llamawire.engine.store.manifests import Manifests
from llamawire.engine.store.names import ModelName

__all__ = ["GRACE_S", "old_blobs", "prune", "rename_old_blobs"]

GRACE_S = 3600.0

log = logging.getLogger(__name__)


def prune(blobs: Blobs, manifests: Manifests, now: float) -> list[str]:
    """Removes old files that no manifest names; gives their names. `now` is a time of the epoch.

    The caller holds the store's lock.
    """
    try:
        used = _digests_in_use(manifests)
    except (StoreError, OSError) as error:
        log.warning("nothing is pruned: %s", error)
        return []
    unused = [entry for entry in blobs.files() if not _is_used(entry.name, used)]
    young = {_download(entry.name) for entry in unused if not _is_old(entry, now)}
    removed = []
    for entry in unused:
        if _download(entry.name) not in young and _remove(entry):
            removed.append(entry.name)
    manifests.remove_empty_folders()
    return removed


def _digests_in_use(manifests: Manifests) -> set[str]:
    """Raises StoreError if a manifest has a bad name or cannot be read."""
    digests: set[str] = set()
    for path in manifests.files():
        name = ModelName.from_path(path.relative_to(manifests.folder))
        digests |= manifests.decode(name).digests
    return digests


def _is_used(file_name: str, used: set[str]) -> bool:
    try:
        return normalize_digest(file_name) in used
    except InvalidDigest:
        return False


def _download(file_name: str) -> str:
    """What the files of one download have in common; any other file's own name."""
    blob, separator, _ = file_name.partition("-partial")
    return blob + separator


def _is_old(entry: os.DirEntry[str], now: float) -> bool:
    try:
        return now - entry.stat(follow_symlinks=False).st_mtime > GRACE_S
    except FileNotFoundError:
        return True


def _remove(entry: os.DirEntry[str]) -> bool:
    try:
        os.unlink(entry.path)
    except FileNotFoundError:
        return False
    return True


def old_blobs(folder: Path) -> Iterator[Path]:
    """Blobs named `sha256:…`, as they once were."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.startswith("sha256:"))


def rename_old_blobs(folder: Path) -> None:
    for path in list(old_blobs(folder)):
        path.rename(path.with_name(path.name.replace(":", "-", 1)))
