"""What can go wrong in the engine, named once for every client.

    EngineError          anything a caller is told
    ├── InvalidArgument  the request has a value it cannot have
    ├── Unsupported      the model cannot do what was asked
    ├── QueueFull        too many requests wait; try again
    ├── ShuttingDown     the server drains; try elsewhere
    ├── LoadFailed       the model did not come up
    ├── LoadHeldOff      it crashed too often while it came up; try later
    ├── WorkerCrashed    the request was in the batch of two crashes
    ├── KeyMissing       the server asks for an API key, and none came
    ├── KeyInvalid       the key is not, or no longer, one of this server's
    ├── ScopeMissing     the key is for other things
    ├── ModelNotAllowed  the key is for other models
    └── QuotaExceeded    the key has used up what it may; try later
    StartError           the daemon cannot start as it is set up; for whoever set it up

`code` is the name of a gRPC status, `reason` and `metadata` are google.rpc.ErrorInfo's;
docs/errors.md lists them. The store's exceptions carry the same three attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = [
    "EngineError",
    "InvalidArgument",
    "KeyInvalid",
    "KeyMissing",
    "LoadFailed",
    "LoadHeldOff",
    "ModelNotAllowed",
    "QueueFull",
    "QuotaExceeded",
    "ScopeMissing",
    "ShuttingDown",
    "StartError",
    "Unsupported",
    "WorkerCrashed",
]


class EngineError(Exception):
    """A failure with a name; `retry_after_s` is set where trying again helps."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "INTERNAL",
        reason: str = "INTERNAL",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s


class InvalidArgument(EngineError):
    """The caller's value; the message names the field and the limit."""

    def __init__(self, message: str, *, reason: str = "INVALID_ARGUMENT", **metadata: str) -> None:
        super().__init__(message, code="INVALID_ARGUMENT", reason=reason, metadata=metadata)


class Unsupported(EngineError):
    """The model lacks a capability."""

    def __init__(self, model: str, full_name: str, capability: str) -> None:
        verb = "generate" if capability == "completion" else capability
        super().__init__(
            f'"{model}" does not support {verb}',
            code="FAILED_PRECONDITION",
            reason="UNSUPPORTED_CAPABILITY",
            metadata={"model": model, "full_name": full_name, "capability": capability},
        )


class QueueFull(EngineError):
    """A bounded queue has no place; `setting` bounds it."""

    def __init__(self, limit: int, setting: str = "LLAMAWIRE_MAX_QUEUE") -> None:
        super().__init__(
            f"the server is busy: {limit} requests wait already ({setting})",
            code="RESOURCE_EXHAUSTED",
            reason="QUEUE_FULL",
            metadata={"limit": str(limit)},
            retry_after_s=1.0,
        )


class ShuttingDown(EngineError):
    """New work is refused while old work ends."""

    def __init__(self) -> None:
        super().__init__(
            "the server is shutting down",
            code="UNAVAILABLE",
            reason="SHUTTING_DOWN",
            retry_after_s=5.0,
        )


class LoadFailed(EngineError):
    """The worker could not load the model; the message has the reason."""

    def __init__(
        self, model: str, message: str, *, code: str = "INTERNAL", reason: str = "LOAD_FAILED"
    ) -> None:
        super().__init__(message, code=code, reason=reason, metadata={"model": model})


class LoadHeldOff(EngineError):
    """Every load of the model ended in a crash; it is left alone for a while."""

    def __init__(self, model: str, crashes: int, detail: str, wait_s: float) -> None:
        super().__init__(
            f"loading {model} crashed {crashes} times in a row ({detail}); it is tried again in "
            f"{math.ceil(wait_s)} s (LLAMAWIRE_LOAD_HOLD_OFF)",
            code="UNAVAILABLE",
            reason="LOAD_HELD_OFF",
            metadata={"model": model, "crashes": str(crashes)},
            retry_after_s=float(math.ceil(wait_s)),
        )


class WorkerCrashed(EngineError):
    """Worker after worker died while it worked on this request, or while this request waited."""

    def __init__(self, model: str, detail: str) -> None:
        super().__init__(
            f"the worker of {model} died again and again over this request: {detail}",
            reason="WORKER_CRASHED",
            metadata={"model": model},
        )


class KeyMissing(EngineError):
    """No key, or not in the form that HTTP and gRPC share."""

    def __init__(self) -> None:
        super().__init__(
            "this server wants an API key: send the header or metadata `authorization: Bearer KEY`",
            code="UNAUTHENTICATED",
            reason="KEY_MISSING",
        )


class KeyInvalid(EngineError):
    """Does not say what is wrong with it: whoever has one can ask whoever gave it."""

    def __init__(self) -> None:
        super().__init__("the API key is not valid", code="UNAUTHENTICATED", reason="KEY_INVALID")


class ScopeMissing(EngineError):
    """`scopes`: any one of these would do."""

    def __init__(self, key: str, scopes: Sequence[str]) -> None:
        super().__init__(
            f"the API key {key!r} has not the scope for this: {' or '.join(scopes)}",
            code="PERMISSION_DENIED",
            reason="SCOPE_MISSING",
            metadata={"key": key, "scopes": ",".join(scopes)},
        )


class ModelNotAllowed(EngineError):
    """Says nothing about whether there is such a model."""

    def __init__(self, key: str, model: str) -> None:
        super().__init__(
            f"the API key {key!r} may not use the model {model!r}",
            code="PERMISSION_DENIED",
            reason="MODEL_NOT_ALLOWED",
            metadata={"key": key, "model": model},
        )


class QuotaExceeded(EngineError):
    """`limit` is the field of the key file that bounds it."""

    def __init__(self, key: str, allowed: int, limit: str, wait_s: float) -> None:
        super().__init__(
            f"the API key {key!r} has used up its {allowed} {limit.replace('_', ' ')}; "
            f"try again in {math.ceil(wait_s)} s",
            code="RESOURCE_EXHAUSTED",
            reason="QUOTA_EXCEEDED",
            metadata={"key": key, "limit": limit, "allowed": str(allowed)},
            retry_after_s=float(math.ceil(wait_s)),
        )


class StartError(Exception):
    """The message says which setting to change."""
