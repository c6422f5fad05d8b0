"""The engine's failures as gRPC statuses with google.rpc details."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

__all__ = ["failures_as_status", "rich_status"]

log = logging.getLogger(__name__)

DOMAIN = "llamawire"
MESSAGE_BYTES_MAX = 1200
VALUE_BYTES_MAX = 250
"""Of an error's sentence and of a value in its metadata. All of a status travels in HTTP headers,
the sentence twice, once with up to three characters a byte: a client that gets more than 8 KiB of
them sees that its headers are too large, and no error."""


@contextlib.asynccontextmanager
async def failures_as_status(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Ends the call with the status of whatever the block raises.

    Exceptions that carry `code`, `reason` and `metadata` tell what to say; a full disk or a
    forbidden file is STORE_FAILED; all else is our mistake, logged whole and told in one word.
    """
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        status = rpc_status.to_status(rich_status(error))
        await context.abort_with_status(status)  # type: ignore[attr-defined]


def rich_status(error: Exception) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo, and RetryInfo where trying again helps."""
    code = getattr(error, "code", "INTERNAL")
    reason = getattr(error, "reason", None)
    message = str(error)
    if not isinstance(reason, str) and isinstance(error, OSError):
        reason, code, message = "STORE_FAILED", "INTERNAL", f"the store failed: {error}"
    elif not isinstance(reason, str) or not isinstance(code, str):
        log.error("a mistake of ours", exc_info=error)
        reason, code, message = "INTERNAL", "INTERNAL", "internal error; see the server's log"
    message = shortened(message, MESSAGE_BYTES_MAX)
    metadata = getattr(error, "metadata", None) or {}
    info = error_details_pb2.ErrorInfo(
        domain=DOMAIN,
        reason=reason,
        metadata={key: shortened(value, VALUE_BYTES_MAX) for key, value in metadata.items()},
    )
    details = [packed(info)]
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(retry_after_s * 1e9))
        details.append(packed(retry))
    return status_pb2.Status(code=code_pb2.Code.Value(code), message=message, details=details)


def shortened(text: str, bytes_max: int) -> str:
    """The text, or its beginning and its end: what was given stands in the middle of a sentence."""
    data = text.encode()
    if len(data) <= bytes_max:
        return text
    half = bytes_max // 2
    return f"{data[:half].decode(errors='ignore')} … {data[-half:].decode(errors='ignore')}"


def packed(message: Any) -> any_pb2.Any:
    box = any_pb2.Any()
    box.Pack(message)
    return box
