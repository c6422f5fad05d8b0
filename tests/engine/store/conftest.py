from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from llamawire.engine.store import CreateRequest, Library, ModelName, create


def check_nothing(template: str) -> None:
    """Stands for a template parser that is content with everything."""


@pytest.fixture
def minimal_gguf() -> bytes:
    """The smallest file there is: no tensors, one key."""
    key, value = b"general.architecture", b"test"
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    return head + pair


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


Make = Callable[..., list[str]]


@pytest.fixture
def make(library: Library) -> Make:
    """Creates a model from the fields of a request; gives the status lines."""

    def make(model: str, **fields: object) -> list[str]:
        request = CreateRequest(model, **fields)  # type: ignore[arg-type]
        return [line.status for line in create(library, request, check_nothing)]

    return make


@pytest.fixture
def test_model(library: Library, make: Make, minimal_gguf: bytes) -> ModelName:
    """The model `test`, made of the smallest file."""
    blob = library.blobs.put(minimal_gguf)
    make("test", files={"base.gguf": blob.digest})
    return ModelName.parse("test")
