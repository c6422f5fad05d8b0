"""Files to the server's store, under their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.progress import Progress
from llamawire.v1 import model_service_pb2 as pb

__all__ = ["digest_of", "upload"]

CHUNK_BYTES = 1 << 20


def digest_of(path: Path) -> str:
    """`sha256:` and the hex digest of a file. Raises CliError if it cannot be read."""
    digest = hashlib.sha256()
    with _opened(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def upload(client: Client, path: Path, digest: str, progress: Progress) -> None:
    """Sends a file, unless the server has it. The server checks the digest."""
    if client.models.HasBlob(pb.HasBlobRequest(digest=digest)).exists:
        return
    with _opened(path) as file:
        client.models.PutBlob(_parts(file, digest, path.stat().st_size, progress))


def _parts(
    file: BinaryIO, digest: str, size: int, progress: Progress
) -> Iterator[pb.PutBlobRequest]:
    """Read by gRPC in a thread of its own, as fast as the server takes it."""
    status, sent = f"copying file {digest}", 0
    yield pb.PutBlobRequest(digest=digest)
    while chunk := file.read(CHUNK_BYTES):
        yield pb.PutBlobRequest(data=chunk)
        sent += len(chunk)
        progress.update(status, digest, size, sent)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CliError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
