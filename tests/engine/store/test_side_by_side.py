"""One folder for Ollama and for us: what each of them writes, the other one reads."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from llamawire.engine.store import Library, ModelName

Make = Callable[..., list[str]]

KIND = "application/vnd.ollama.image."
NAME = ModelName.parse("old:7b")


def write_by_ollama(root: Path, weights: bytes) -> bytes:
    """A model as earlier versions wrote it; its manifest."""
    (root / "blobs").mkdir(parents=True)

    def layer(kind: str, data: bytes) -> dict[str, object]:
        # Once with a colon, as in the digest.
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        (root / "blobs" / digest).write_bytes(data)
        return {"digest": digest, "size": len(data), "mediaType": kind, "more": [1]}

    config = {
        "model_format": "gguf", "model_family": "test", "model_families": ["test"],
        "model_type": "7B", "file_type": "Q4_0", "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:0"]},
    }  # fmt: skip
    manifest = {
        "config": layer(
            "application/vnd.docker.container.image.v1+json", json.dumps(config).encode()
        ),
        "layers": [
            layer(f"{KIND}license", b"MIT"),
            layer(f"{KIND}model", weights),
            layer(f"{KIND}prompt", b"{{ .Prompt }}!"),
            layer(f"{KIND}params", b'{"stop": ["x"], "num_ctx": 64}'),
            layer(f"{KIND}embed", b"obsolete"),
        ],
        "schemaVersion": 2,
    }
    path = root / "manifests/registry.ollama.ai/library/old/7b"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest, indent=3))
    return path.read_bytes()


def test_a_folder_that_ollama_wrote_is_a_store(
    library: Library, make: Make, minimal_gguf: bytes
) -> None:
    data = write_by_ollama(library.root, minimal_gguf)
    library.rename_old_blobs()
    (listed,) = library.list()
    assert (listed.name, listed.digest) == (NAME, hashlib.sha256(data).hexdigest())
    assert (listed.details.parameter_size, listed.details.quantization_level) == ("7B", "Q4_0")
    model = library.get(NAME)
    assert (model.template, model.licenses) == ("{{ .Prompt }}!", ("MIT",))
    assert model.parameters == {"stop": ["x"], "num_ctx": 64}
    make("mine", base="old:7b", system="Be brief.")
    assert library.get(ModelName.parse("mine")).template == "{{ .Prompt }}!"
    assert library.prune(clock=lambda: 4e9) == ()
    assert library.entry(NAME).data == data
    library.delete(NAME)
    library.delete(ModelName.parse("mine"))
    assert list(library.blobs.files()) == []


def test_what_we_write_is_laid_out_as_ollama_expects(
    library: Library, make: Make, test_model: ModelName
) -> None:
    make("Host.example:5000/ns/m:t", base="test", system="Be brief.", parameters={"top_k": 1})
    library.copy(test_model, ModelName.parse("copied"))
    root = library.root
    assert {name for name in os.listdir(root) if name[0] != "."} == {"blobs", "manifests"}
    manifests = [path for path in (root / "manifests").rglob("*") if path.is_file()]
    assert {str(path.relative_to(root / "manifests")) for path in manifests} == {
        "registry.ollama.ai/library/test/latest",
        "registry.ollama.ai/library/copied/latest",
        "Host.example:5000/ns/m/t",
    }
    blobs = list((root / "blobs").iterdir())
    assert all(re.fullmatch("sha256-[0-9a-f]{64}", path.name) for path in blobs)
    assert {path.stat().st_mode & 0o777 for path in (*manifests, *blobs)} == {0o644}
    named = set()
    for path in manifests:
        text = path.read_text()
        assert text.endswith("}\n")
        manifest = json.loads(text)
        named |= {layer["digest"] for layer in (manifest["config"], *manifest["layers"])}
    # Ollama compares digests as text to find what nobody uses.
    assert named == {path.name.replace("-", ":") for path in blobs}
