"""What was once found in Ollama about names, digests, paths and files, tried on us.

Of the published ones these have no counterpart here:

* CVE-2024-45436, CVE-2024-7773: a ZIP archive whose members leave its folder. No archive is ever
  unpacked; a ZIP is bytes of an unknown type (`test_archives_are_not_unpacked`).
* CVE-2026-42248, CVE-2026-42249: the updater of the Windows app. There is no updater.
* CVE-2026-5530: a pull from a host inside the server's network. Whoever may pull may name any host,
  since that is what a registry is; beyond that nothing is lent to a host: no credentials follow a
  redirect, and none leads from https to http (tests/engine/store/registry).
* CVE-2024-12886: a registry that answers with a gzip bomb. Nothing that a registry sends is ever
  decompressed, and all texts are read up to a limit.

And these are tried where they would strike:

* CVE-2024-28224, DNS rebinding: tests/rest/test_transport.py.
* CVE-2025-63389, management without authentication: tests/e2e/test_keys.py.
* CVE-2025-15514, bytes that are no picture for a model that sees: tests/e2e/test_images.py.
* CVE-2025-1975, a registry whose manifest does not fit its blobs, and CVE-2025-51471, one whose
  challenge names another host to send the signature to: tests/engine/store/registry.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gguf_files import Typed, tiny_llama, write_gguf
from llamawire.engine.store import (
    BlobNotFound,
    CorruptManifest,
    CreateError,
    InvalidDigest,
    InvalidGguf,
    InvalidName,
    Library,
    Manifest,
    ModelName,
    ModelNotFound,
    StoreError,
    normalize_digest,
)

Make = Callable[..., list[str]]

SECRET = "secret.txt"
HEX = "0123456789abcdef" * 4
BAD_DIGESTS = (
    "",
    "sha256",
    "sha256:",
    "sha256-" + HEX[:63],
    "sha256-" + HEX + "0",
    "sha256:" + HEX[:63] + "g",
    "sha256:" + HEX + "\n",
    "sha512:" + HEX,
    "../sha256-" + HEX,
    "sha256-../../../" + HEX,
    "sha256:" + "../" * 21 + "a",
    "sha256:../../" + SECRET,
    "sha256-/etc/passwd",
    "../../" + SECRET,
    "sha256:" + HEX + "/../../" + SECRET,
    "sha256:" + HEX[:60] + "\0abc",
    "sha256:" + "\uff10" * 64,  # Digits elsewhere, but not here.
)
BAD_NAMES = (
    "../../secret.txt",
    "../../../../../etc/passwd",
    "/etc/passwd",
    "a/../../../b",
    "h/n/m:../../../../secret.txt",
    "h/n/../m",
    "..",
    "../m",
    "m:..",
    "host/..%2f..%2f/m",
    "n\\..\\m",
    "m\0",
    "http://../n/m:t",
    "file:///etc/passwd",
    "a/b/c/../../d:t",
)


@pytest.fixture
def secret(library: Library) -> Iterator[Path]:
    """A file outside the store; whatever is tried, it is there afterwards and as it was."""
    library.root.mkdir(parents=True, exist_ok=True)
    path = library.root.parent / SECRET
    path.write_text("secret")
    before = {child.name for child in library.root.parent.iterdir()}
    yield path
    assert path.read_text() == "secret"
    assert {child.name for child in library.root.parent.iterdir()} == before


def store_manifest(library: Library, digest: str) -> ModelName:
    """A manifest as a hostile registry would have sent it, put on the disk by somebody else."""
    name = ModelName.parse("evil")
    layer = {"mediaType": "application/vnd.ollama.image.template", "digest": digest, "size": 6}
    config = {**layer, "mediaType": "application/vnd.docker.container.image.v1+json"}
    text = json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]})
    path = library.manifests.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_cve_2024_37032_and_cve_2026_7020_a_digest_is_no_path(
    library: Library, secret: Path, digest: str
) -> None:
    blobs = library.blobs
    for use in (
        blobs.path, blobs.exists, blobs.require, blobs.read, blobs.touch, blobs.delete,
        normalize_digest,
    ):  # fmt: skip
        with pytest.raises(InvalidDigest):
            use(digest)
    with blobs.writer() as writer:
        writer.write(b"x")
        with pytest.raises(InvalidDigest):
            writer.commit(digest)
    assert not list(blobs.files())


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_cve_2024_37032_a_manifest_with_such_a_digest_is_not_read(
    library: Library, secret: Path, digest: str
) -> None:
    name = store_manifest(library, digest)
    with pytest.raises(CorruptManifest):
        library.get(name)
    assert library.list() == []
    with pytest.raises(CorruptManifest):
        library.copy(name, ModelName.parse("other"))
    with pytest.raises(CorruptManifest):
        library.install(ModelName.parse("other"), library.manifests.read(name))
    assert not library.manifests.exists(ModelName.parse("other"))


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_cve_2025_44779_no_file_outside_goes_with_a_model(
    library: Library, secret: Path, test_model: ModelName, digest: str
) -> None:
    name = store_manifest(library, digest)
    with pytest.raises(CorruptManifest):
        library.delete(name)
    library.prune(clock=lambda: 4e9)
    library.delete(test_model)
    # Written over, the manifest goes, and what it names stays.
    library.install(name, Manifest(None, ()).encode())


def test_cve_2025_44779_a_blob_that_is_a_link_goes_alone(
    library: Library, secret: Path, test_model: ModelName
) -> None:
    link = library.blobs.folder / f"sha256-{HEX}"
    link.symlink_to(secret)
    assert library.blobs.delete(f"sha256:{HEX}")
    link.symlink_to(secret)
    library.prune(clock=lambda: 4e9)
    assert not link.is_symlink()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_cve_2024_39722_a_name_says_nothing_about_other_files(
    library: Library, make: Make, secret: Path, name: str
) -> None:
    """The answer for a path is one and the same, whether or not something is there."""
    with pytest.raises(InvalidName) as caught:
        ModelName.parse(name)
    assert str(caught.value) == "invalid model name"
    with pytest.raises(InvalidName):
        library.manifests.path(ModelName(*_parts(name)))
    with pytest.raises(InvalidName):
        make(name, files={})
    with pytest.raises(InvalidName):
        make("a", base=name)


def _parts(name: str) -> tuple[str, str, str, str]:
    return "h", "n", name, "t"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/nowhere", "../secret.txt", "a/../../x", "../m-00001-of-00002.gguf"],
)
def test_cve_2024_39719_create_says_nothing_about_other_files(
    make: Make, secret: Path, test_model: ModelName, path: str
) -> None:
    digest = f"sha256:{HEX}"
    for fields in ({"files": {path: digest}}, {"base": "test", "adapters": {path: digest}}):
        with pytest.raises(CreateError, match="file path must be relative"):
            make("a", **fields)


def test_cve_2024_39719_only_what_was_uploaded_can_be_named(make: Make, secret: Path) -> None:
    for digest in ("../../secret.txt", str(secret), "sha256:../../" + SECRET):
        with pytest.raises(InvalidDigest) as caught:
            make("a", files={"a.gguf": digest})
        assert str(caught.value) == "invalid digest format"


@pytest.mark.parametrize("size", range(0, 24))
def test_cve_2024_39720_a_file_of_few_bytes_is_refused(
    library: Library, make: Make, minimal_gguf: bytes, size: int
) -> None:
    digest = library.blobs.put(minimal_gguf[:size]).digest
    with pytest.raises((InvalidGguf, CreateError)):
        make("a", files={"a.gguf": digest})


def test_cve_2024_39721_nobody_waits_for_a_device(
    library: Library, make: Make, test_model: ModelName
) -> None:
    device = library.blobs.folder / f"sha256-{HEX}"
    device.symlink_to("/dev/random")
    with pytest.raises(BlobNotFound):
        make("a", files={"a.gguf": f"sha256:{HEX}"})
    device.unlink()
    os.mkfifo(device)
    with pytest.raises(BlobNotFound):
        make("a", files={"a.gguf": f"sha256:{HEX}"})


def test_cve_2024_39721_nobody_waits_for_a_pipe_among_the_manifests(
    library: Library, test_model: ModelName
) -> None:
    pipe = library.manifests.path(ModelName.parse("pipe"))
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    with pytest.raises(ModelNotFound):
        library.get(ModelName.parse("pipe"))
    assert [model.name for model in library.list()] == [test_model]


def test_archives_are_not_unpacked(library: Library, make: Make, secret: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("../../" + SECRET, "overwritten")
    digest = library.blobs.put(archive.getvalue()).digest
    with pytest.raises(CreateError, match="unknown type"):
        make("a", files={"model.zip": digest})
    with pytest.raises(CreateError, match="not in GGUF format"):
        make("a", files={"model.gguf": digest})


def refused(library: Library, make: Make, path: Path) -> StoreError:
    digest = library.blobs.put(path.read_bytes()).digest
    with pytest.raises(StoreError) as caught:
        make("a", files={"a.gguf": digest})
    assert library.list() == []
    return caught.value


@pytest.mark.parametrize("count", [0, "0", 0.0, True, [1, 2], 1 << 40])
def test_cve_2024_8063_a_number_of_blocks_is_a_number(
    library: Library, make: Make, tmp_path: Path, count: object
) -> None:
    metadata = {"llama.block_count": Typed(10, count) if count == 1 << 40 else count}
    path = tiny_llama(tmp_path / "f", metadata=metadata)
    assert "llama.block_count" in str(refused(library, make, path))


@pytest.mark.parametrize("alignment", [0, Typed(5, -32), 3, 6])
def test_cve_2025_0317_an_alignment_is_a_power_of_two(
    library: Library, make: Make, tmp_path: Path, alignment: object
) -> None:
    keys = {"general.architecture": "t", "general.alignment": alignment}
    path = write_gguf(tmp_path / "f", keys, {"a": np.ones(8, "float32")})
    assert "alignment" in str(refused(library, make, path))


def test_cve_2026_7482_and_cve_2024_12055_a_tensor_lies_within_its_file(
    library: Library, make: Make, tmp_path: Path
) -> None:
    """Whether the offset is too large, the tensor, or both until they overflow."""
    keys = {"general.architecture": "t"}
    path = write_gguf(tmp_path / "f", keys, {"abc": np.ones(8, "float32")})
    data = path.read_bytes()
    at = data.index(b"abc") + 3
    for shape, offset in ((8, 32), (1 << 30, 0), (8, (1 << 64) - 32), ((1 << 62) + 8, 0)):
        end = struct.pack("<IQIQ", 1, shape, 0, offset)
        path.write_bytes(data[:at] + end + data[at + len(end) :])
        assert "size" in str(refused(library, make, path))
    path.write_bytes(data[:-1])
    assert "exceeds file size" in str(refused(library, make, path))


def test_cve_2025_0315_counts_do_not_make_memory(
    library: Library, make: Make, tmp_path: Path
) -> None:
    for tensors, keys in ((1 << 60, 1), (1, 1 << 60), (0, (1 << 64) - 1)):
        path = tmp_path / "f"
        path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, tensors, keys) + bytes(100))
        assert "maximum" in str(refused(library, make, path))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_cve_2025_66959_and_cve_2025_66960_a_length_does_not_make_memory(
    library: Library, make: Make, tmp_path: Path, version: int
) -> None:
    form = "<I" if version == 1 else "<Q"
    head = struct.pack("<4sI", b"GGUF", version) + struct.pack(form, 0) + struct.pack(form, 1)
    for length in (0xFFFFFFFF, 1 << 31, 17 << 20, 16 << 20):
        path = tmp_path / "f"
        path.write_bytes(head + struct.pack(form, length) + b"abc")
        text = str(refused(library, make, path))
        assert "exceeds maximum" in text or "unexpected EOF" in text


@pytest.mark.parametrize("key", ["general.architecture", "tokenizer.ggml.tokens"])
def test_cve_2025_0312_a_key_of_another_type_is_no_null(
    library: Library, make: Make, tmp_path: Path, key: str
) -> None:
    for value in (1, 1.5, True, [1], [], ""):
        path = tiny_llama(tmp_path / "f", metadata={key: value})
        if key == "tokenizer.ggml.tokens" and value == []:
            continue  # An empty list has no kind that could be wrong.
        assert refused(library, make, path)


def test_cve_2024_21802_a_tensor_has_four_dimensions_at_most(
    library: Library, make: Make, tmp_path: Path
) -> None:
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + struct.pack("<Q3s", 3, b"abc")
    for dimensions in (0, 5, 1 << 16, (1 << 32) - 1):
        path = tmp_path / "f"
        path.write_bytes(head + struct.pack("<I", dimensions) + bytes(200))
        assert refused(library, make, path)


@pytest.mark.parametrize("kind", [*range(13), 13, 1 << 31])
def test_cve_2024_21825_the_length_of_an_array_does_not_make_memory(
    library: Library, make: Make, tmp_path: Path, kind: int
) -> None:
    """As with CVE-2024-21836 and CVE-2024-23605 (counts) and CVE-2024-23496 (strings), which are
    those of CVE-2025-0315 and CVE-2025-66960 above."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q1s", 1, b"a")
    for length in (1 << 31, 1 << 60, (1 << 64) - 1, (1 << 61) + 1):
        path = tmp_path / "f"
        path.write_bytes(head + struct.pack("<IIQ", 9, kind, length) + bytes(200))
        assert refused(library, make, path)


def test_cve_2025_53630_cve_2026_27940_and_cve_2026_33298_sizes_do_not_wrap(
    library: Library, make: Make, tmp_path: Path
) -> None:
    """Neither one tensor's size, nor the padding, nor the sum of several."""
    i8 = 24
    for shapes in (
        [(1 << 62, 4)], [((1 << 64) // 4 - 1, 1)], [(1 << 32, 1 << 32)], [((1 << 63) - 1, 1)] * 2,
        [((1 << 63) - 64, 1), ((1 << 63) - 64, 1)], [(1 << 63, 1)] * 2,
    ):  # fmt: skip
        text = struct.pack("<4sIQQ", b"GGUF", 3, len(shapes), 0)
        offset = 0
        for number, (columns, rows) in enumerate(shapes):
            name = f"t{number}".encode()
            text += struct.pack("<Q", len(name)) + name
            text += struct.pack("<IQQIQ", 2, columns, rows, i8, offset % (1 << 64))
            offset += columns * rows
        path = tmp_path / "f"
        path.write_bytes(text + bytes(4096))
        assert refused(library, make, path)


def test_cve_2024_32878_no_cut_of_a_file_is_read_as_a_whole(
    library: Library, make: Make, tmp_path: Path
) -> None:
    data = tiny_llama(tmp_path / "f").read_bytes()
    for length in range(24, 4000, 97):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        assert refused(library, make, path)


def test_cve_2026_5530_a_name_is_no_address() -> None:
    """A host in a name is asked as a registry: whoever may pull may choose one, which is what the
    scope `models` of API keys is for. Anything else of an address makes no name."""
    for name in ("http://169.254.169.254/a/latest/meta-data", "h/n/m?x=1", "h/n/m#x", "u@h/n/m"):
        with pytest.raises(InvalidName):
            ModelName.parse(name)
