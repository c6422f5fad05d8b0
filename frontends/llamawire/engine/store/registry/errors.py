"""What can go wrong between the store and a registry.

RegistryError              a StoreError
├── RegistryUnreachable    no answer: no route, no trusted TLS, silence, or a cut connection
├── RegistryRefused        an answer that says no: 4xx or 5xx
├── RegistryUnauthorized   the registry wants to know who asks, and did not like the answer
├── NotInRegistry          no such model or file there
├── RegistryMisbehaved     an answer that the protocol does not have
├── RangeIgnored           the whole file in answer to a request for a part of it
├── DownloadCorrupt        the bytes do not hash to the digest
└── DiskFull               no room for what is to be fetched

Texts are Ollama's where clients may look at them. `is_transient` says that the same request may
succeed in a moment.
"""

from __future__ import annotations

from llamawire.engine.store.errors import StoreError

__all__ = [
    "DiskFull",
    "DownloadCorrupt",
    "NotInRegistry",
    "RangeIgnored",
    "RegistryError",
    "RegistryMisbehaved",
    "RegistryRefused",
    "RegistryUnauthorized",
    "RegistryUnreachable",
]

TRANSIENT_STATUSES = (408, 425, 429)


class RegistryError(StoreError):
    """Any failure of a transfer."""

    code = "UNKNOWN"
    reason = "REGISTRY_FAILED"
    is_transient = False

    def during(self, step: str) -> RegistryError:
        """This failure with the step it happened at in front of its text."""
        self.args = (f"{step}: {self}",)
        return self


class RegistryUnreachable(RegistryError):
    """No answer, or only the beginning of one."""

    code = "UNAVAILABLE"
    reason = "REGISTRY_UNREACHABLE"
    is_transient = True
    retry_after_s = 5.0


class RegistryRefused(RegistryError):
    """The registry says no; the text is its status and its words."""

    code = "FAILED_PRECONDITION"
    reason = "REGISTRY_REFUSED"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}" if text else str(status))
        self.status = status
        self.is_transient = status >= 500 or status in TRANSIENT_STATUSES
        self.metadata = {"status": str(status)}


class RegistryUnauthorized(RegistryError):
    """Who we are is not enough, or cannot be told."""

    code = "PERMISSION_DENIED"
    reason = "REGISTRY_UNAUTHORIZED"

    def __init__(self, text: str = "unauthorized: access denied") -> None:
        super().__init__(text)


class NotInRegistry(RegistryError):
    """404, from whatever was asked for."""

    code = "NOT_FOUND"
    reason = "NOT_IN_REGISTRY"

    def __init__(self, text: str = "file does not exist") -> None:
        super().__init__(text)


class RegistryMisbehaved(RegistryError):
    """Something that no registry should say; asking again would not help."""

    reason = "REGISTRY_MISBEHAVED"


class RangeIgnored(RegistryMisbehaved):
    """Whoever asked for a part was offered the whole."""


class DownloadCorrupt(RegistryError):
    """The file has arrived whole and is not what its name says; it was deleted."""

    code = "DATA_LOSS"
    reason = "DOWNLOAD_CORRUPT"

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(
            f"digest mismatch, file must be downloaded again: want {expected}, got {actual}"
        )
        self.metadata = {"expected": expected, "actual": actual}


class DiskFull(RegistryError):
    """What has arrived is kept, so that the same pull goes on from there once there is room."""

    code = "RESOURCE_EXHAUSTED"
    reason = "DISK_FULL"
    retry_after_s = 60.0
