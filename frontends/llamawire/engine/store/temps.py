"""Files that are still being made: locked as long as their maker lives, so that none is left over.

Their names begin with a prefix that no digest has. Whoever starts next finds the ones that nobody
holds any more and removes them at once, however young they are; a store that is in use by another
process keeps those of that process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TEMP_PREFIX", "locked_file", "locked_folder", "remove_abandoned"]

TEMP_PREFIX = "llamawire-temp-"


def locked_file(folder: Path) -> tuple[int, Path]:
    """A new file in `folder`: its descriptor, and with it the lock, are the caller's to close.

    Rename or remove the file before that: an unlocked one may go any time. Raises OSError.
    """
    while True:
        handle, path = tempfile.mkstemp(prefix=TEMP_PREFIX, dir=folder)
        if _lock(handle, path):
            return handle, Path(path)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[Path]:
    """A new folder in `folder` for the block; it goes with all that is in it. Raises OSError."""
    while True:
        path = tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=folder)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if _lock(handle, path):
            break
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def remove_abandoned(folder: Path) -> list[str]:
    """Removes what makers that are gone have left; gives the names."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(TEMP_PREFIX)]
    except FileNotFoundError:
        return []
    return [name for name in names if _remove(folder / name)]


def _remove(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # It has just become a blob, or it is none of ours.
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _lock(handle: int, path: str) -> bool:
    """Locks a new file or folder; false, and closed, if a clean-up was faster."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(handle), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    except BaseException:
        os.close(handle)
        raise
    if not is_there:
        os.close(handle)
    return is_there
