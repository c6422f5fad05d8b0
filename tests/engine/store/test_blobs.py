from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from llamawire.engine.store import (
    BlobNotFound,
    Blobs,
    DigestMismatch,
    InvalidDigest,
    normalize_digest,
)

HELLO = "sha256:" + hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def names(blobs: Blobs) -> list[str]:
    return sorted(entry.name for entry in blobs.files())


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "g" * 64,
        "sha256_" + "0" * 64,
        "sha512:" + "0" * 64,
        "sha256:" + "0" * 61 + "/..",
        "sha256:../../../../etc/passwd",
        "sha256:" + "0" * 64 + "\n",
        "sha256:" + "\u0660" * 64,
        "../sha256-" + "0" * 64,
    ],
)
def test_nothing_but_a_digest_leads_to_a_path(blobs: Blobs, digest: str) -> None:
    with pytest.raises(InvalidDigest, match="invalid digest format"):
        blobs.path(digest)


def test_digests_have_one_spelling() -> None:
    assert normalize_digest("sha256-" + "AB" * 32) == "sha256:" + "ab" * 32


def test_a_committed_blob_has_its_name_and_mode(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"he")
        writer.write(b"llo")
        blob = writer.commit(HELLO)
    assert (blob.digest, blob.size, blob.is_new) == (HELLO, 5, True)
    assert names(blobs) == [HELLO.replace(":", "-")]
    assert blobs.read(HELLO) == b"hello"
    assert blobs.path(HELLO).stat().st_mode & 0o777 == 0o644


def test_a_mismatch_leaves_nothing_behind(blobs: Blobs) -> None:
    writer = blobs.writer()
    writer.write(b"other")
    with pytest.raises(DigestMismatch) as caught:
        writer.commit(HELLO)
    actual = "sha256:" + hashlib.sha256(b"other").hexdigest()
    assert str(caught.value) == f'digest mismatch, expected "{HELLO}", got "{actual}"'
    assert names(blobs) == []


def test_an_aborted_upload_leaves_nothing_behind(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(b"hello")
        assert len(names(blobs)) == 1
        with pytest.raises(InvalidDigest):
            normalize_digest(names(blobs)[0])
    assert names(blobs) == []


def test_a_blob_that_is_there_is_made_young(blobs: Blobs) -> None:
    blobs.put(b"hello")
    os.utime(blobs.path(HELLO), (1, 1))
    assert not blobs.put(b"hello").is_new
    assert blobs.path(HELLO).stat().st_mtime > 1
    os.utime(blobs.path(HELLO), (1, 1))
    with blobs.writer() as writer:
        writer.write(b"hello")
        assert not writer.commit().is_new
    assert blobs.path(HELLO).stat().st_mtime > 1
    assert len(names(blobs)) == 1


def test_a_full_disk_is_an_os_error_and_leaves_nothing(blobs: Blobs) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with blobs.writer() as writer:
        with full.open("wb", buffering=0) as device:
            os.dup2(device.fileno(), writer._file.fileno())
        with pytest.raises(OSError, match="No space"):
            writer.write(b"hello")
    assert names(blobs) == []


def test_a_blob_that_is_not_there_is_not_found(blobs: Blobs) -> None:
    assert not blobs.exists(HELLO)
    assert not blobs.delete(HELLO)
    with pytest.raises(BlobNotFound, match="no such file or directory"):
        blobs.require(HELLO)


def test_a_copied_file_is_verified(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"hello")
    assert blobs.put_file(source, HELLO).is_new
    assert not blobs.put_file(source, HELLO).is_new
    with pytest.raises(DigestMismatch):
        blobs.put_file(source, "sha256:" + "0" * 64)
