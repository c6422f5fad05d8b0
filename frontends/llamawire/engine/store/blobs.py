"""Blobs: files named by the hash of their content, in `blobs/sha256-<64 hex>`.

A blob appears under its name in one rename, whole and hashed, so whoever finds a blob may trust
it. What is still being written has a name that is no digest, and goes with the next start after a
crash, ours at once and Ollama's an hour later.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from llamawire.engine.store.errors import (
    BlobNotFound,
    CorruptManifest,
    DigestMismatch,
    InvalidDigest,
)
from llamawire.engine.store.temps import locked_file

__all__ = ["Blob", "BlobWriter", "Blobs", "digest_of", "digest_of_file", "normalize_digest"]

# Read and hashed at a time; large enough that the system calls do not show.
CHUNK_BYTES = 1 << 20
TEXT_BYTES_MAX = 16 << 20
BLOB_MODE = 0o644

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")


def normalize_digest(digest: str) -> str:
    """The one spelling that manifests use: `sha256:` and lower-case hex. Raises InvalidDigest."""
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise InvalidDigest(digest)
    return f"sha256:{match[1].lower()}"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of_file(path: Path) -> str:
    """Reads the whole file. Raises OSError."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            state.update(chunk)
    return f"sha256:{state.hexdigest()}"


@dataclass(frozen=True)
class Blob:
    """A blob in the store. `is_new` is false if its bytes had been there before."""

    digest: str
    size: int
    is_new: bool


class Blobs:
    """The folder of the blobs. Threads and processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob lies, whether it exists or not. Raises InvalidDigest."""
        return self.folder / normalize_digest(digest).replace(":", "-")

    def exists(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def require(self, digest: str) -> Path:
        """The path of a blob that is there. Raises BlobNotFound."""
        path = self.path(digest)
        if not path.is_file():
            raise BlobNotFound(digest, str(path))
        return path

    def read(self, digest: str) -> bytes:
        """The bytes of a text layer. Raises BlobNotFound, CorruptManifest if it is too large."""
        path = self.require(digest)
        with path.open("rb") as file:
            data = file.read(TEXT_BYTES_MAX + 1)
        if len(data) > TEXT_BYTES_MAX:
            raise CorruptManifest(f"{path.name} is larger than {TEXT_BYTES_MAX} bytes of text")
        return data

    def touch(self, digest: str) -> None:
        """Makes the blob young again, so that a clean-up that starts now leaves it alone.

        Raises BlobNotFound.
        """
        path = self.require(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            raise BlobNotFound(digest, str(path)) from None
        except PermissionError:
            # Another user's file may be read but not touched; its age is then that user's matter.
            return

    def writer(self) -> BlobWriter:
        """A new writer. Use it as a context manager: what is not committed is deleted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return BlobWriter(self)

    def reuse(self, digest: str) -> bool:
        """Touches the blob and says whether it is there; one look, since it may go any time."""
        try:
            self.touch(digest)
        except BlobNotFound:
            return False
        return True

    def put(self, data: bytes) -> Blob:
        """Stores a small blob whole; one that is there already is only touched."""
        digest = digest_of(data)
        if self.reuse(digest):
            return Blob(digest, len(data), is_new=False)
        with self.writer() as writer:
            writer.write(data)
            return writer.commit(digest)

    def put_file(self, source: Path, expected: str) -> Blob:
        """Copies a file into the store. Raises DigestMismatch if it is not `expected`."""
        if self.reuse(expected):
            return Blob(normalize_digest(expected), source.stat().st_size, is_new=False)
        with self.writer() as writer, source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                writer.write(chunk)
            return writer.commit(expected)

    def adopt(self, path: Path) -> Blob:
        """Makes a file of the same file system a blob, by renaming it."""
        size = path.stat().st_size
        digest = digest_of_file(path)
        if self.reuse(digest):
            return Blob(digest, size, is_new=False)
        # Another process may have written it: what a rename promises must be on the disk before.
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), BLOB_MODE)
        os.replace(path, self.path(digest))
        return Blob(digest, size, is_new=True)

    def delete(self, digest: str) -> bool:
        """Removes a blob; false if it was not there."""
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Everything in the folder that is not a folder, strays included."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield entry


class BlobWriter:
    """Takes a blob's bytes in order, hashing as they come. For one thread at a time.

    A full disk comes up as OSError from `write` or `commit`; leaving the context then deletes
    what was written.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._hash = hashlib.sha256()
        handle, self._path = locked_file(blobs.folder)
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._is_done = False
        self.size = 0

    def write(self, data: bytes) -> None:
        # An unbuffered write may be short, for instance just before the disk is full.
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(data)
        self.size += len(data)

    def commit(self, expected: str | None = None) -> Blob:
        """Gives the bytes their name. With `expected`, only if they hash to it.

        Raises DigestMismatch, and then nothing is kept.
        """
        digest = f"sha256:{self._hash.hexdigest()}"
        if expected is not None and normalize_digest(expected) != digest:
            self.abort()
            raise DigestMismatch(expected, digest)
        if self._blobs.reuse(digest):
            self.abort()
            return Blob(digest, self.size, is_new=False)
        # A name is a promise about the bytes, also after a power cut: data first, then the name.
        os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), BLOB_MODE)
        # Closed only afterwards, since that lets go of the lock as well.
        os.replace(self._path, self._blobs.path(digest))
        self._is_done = True
        self._file.close()
        return Blob(digest, self.size, is_new=True)

    def abort(self) -> None:
        """Deletes what was written. Does nothing after `commit` or a first `abort`."""
        if not self._is_done:
            self._is_done = True
            self._path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()
