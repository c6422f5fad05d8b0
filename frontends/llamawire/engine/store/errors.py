"""What can go wrong in the store, as a small tree.

StoreError
├── InvalidName        the name of a model does not follow the grammar
├── ModelNotFound      no manifest has this name
├── InvalidDigest      not sha256: and 64 hex digits
├── BlobNotFound       a digest that nobody uploaded, or whose file is gone
├── DigestMismatch     the bytes do not hash to the digest that was promised
├── InvalidGguf        a file that is not, or not safely, a GGUF
├── CorruptManifest    a manifest or config on disk that cannot be read
├── CreateError        a create request that cannot be carried out
├── StoreBusy          another process has kept the store locked for too long
└── StoreReadOnly      the model is part of the program and cannot be changed

`code` is the name of the gRPC status that the engine answers with, `reason` and `metadata` are
google.rpc.ErrorInfo's; docs/errors.md lists them.
A full disk and the like stay what they are: OSError.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "BlobNotFound",
    "CorruptManifest",
    "CreateError",
    "DigestMismatch",
    "InvalidDigest",
    "InvalidGguf",
    "InvalidName",
    "ModelNotFound",
    "StoreBusy",
    "StoreError",
    "StoreReadOnly",
]


class StoreError(Exception):
    """Any failure of the store that has a text for the user."""

    code = "INTERNAL"
    reason = "STORE_FAILED"
    metadata: Mapping[str, str] = MappingProxyType({})


class InvalidName(StoreError):
    """A name that does not follow the grammar of model names."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_MODEL_NAME"

    def __init__(self, name: str, text: str = "invalid model name") -> None:
        super().__init__(text)
        self.name = name
        self.metadata = {"model": name}


class ModelNotFound(StoreError):
    """No manifest has this name; `name` is the display form of what was looked for."""

    code = "NOT_FOUND"
    reason = "MODEL_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' not found")
        self.name = name
        self.metadata = {"model": name}


class InvalidDigest(StoreError):
    """A digest that is not `sha256:` (or `sha256-`) and 64 hex digits."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_DIGEST"

    def __init__(self, digest: str) -> None:
        super().__init__("invalid digest format")
        self.digest = digest
        self.metadata = {"digest": digest}


class BlobNotFound(StoreError):
    """No blob with this digest is in the store."""

    code = "NOT_FOUND"
    reason = "BLOB_NOT_FOUND"

    def __init__(self, digest: str, path: str) -> None:
        super().__init__(f"open {path}: no such file or directory")
        self.digest = digest
        self.metadata = {"digest": digest}


class DigestMismatch(StoreError):
    """The bytes received do not hash to the promised digest; they were not kept."""

    code = "INVALID_ARGUMENT"
    reason = "DIGEST_MISMATCH"

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f'digest mismatch, expected "{expected}", got "{actual}"')
        self.expected = expected
        self.actual = actual
        self.metadata = {"expected": expected, "actual": actual}


class InvalidGguf(StoreError):
    """The file is not a GGUF, or one that llama.cpp must not see."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_GGUF"


class CorruptManifest(StoreError):
    """A manifest or config on disk is not what it should be."""

    code = "DATA_LOSS"
    reason = "CORRUPT_MANIFEST"


class CreateError(StoreError):
    """A create request that cannot be carried out; the code says whose fault it is."""

    def __init__(
        self, text: str, code: str = "INVALID_ARGUMENT", reason: str = "CREATE_REFUSED"
    ) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class StoreReadOnly(StoreError):
    """A model in the box can be hidden, not deleted."""

    code = "FAILED_PRECONDITION"
    reason = "READ_ONLY"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"model '{name}' is part of llamawire and cannot be deleted; "
            "set LLAMAWIRE_NO_DEFAULT_MODEL=1 to hide it"
        )
        self.name = name
        self.metadata = {"model": name}


class StoreBusy(StoreError):
    """Another process holds the store's lock and does not let go."""

    code = "UNAVAILABLE"
    reason = "STORE_BUSY"
