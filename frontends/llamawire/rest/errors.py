"""From a gRPC status to an HTTP status and a text: the only table of its kind.

A row is found by the `reason` of the error's google.rpc.ErrorInfo (docs/errors.md), refined where
one reason has several texts, and by the route where routes differ. Texts are upstream's wherever
clients may look at them; `{message}` is the engine's own sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import grpc
import grpc.aio
from aiohttp import hdrs
from google.protobuf.message import DecodeError
from google.rpc import (  # type: ignore[import-untyped, unused-ignore]
    error_details_pb2,
    status_pb2,
)

from .gotext import quote

__all__ = [
    "Failure",
    "RestError",
    "capability_error",
    "error_info",
    "mid_stream_text",
    "rest_error",
]

_DETAILS = "grpc-status-details-bin"
_RUNNER_GONE = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an "
    "internal error, check ollama server logs for details"
)
# The words of upstream's runner; clients may look at them. The braces are for `format_map`.
_NO_IMAGES = (
    '{{"error":{{"code":400,"message":"Multimodal data provided, but model does not support '
    'multimodal requests.","type":"invalid_request_error"}}}}'
)
_ENGINE_GONE = "the llamawire engine cannot be reached; is `llamawire serve` running? ({message})"


class RestError(Exception):
    """An answer that is an error.

    `from_runner` says that upstream's runner finds this error and not its handler; then, and only
    when streaming, the answer has another form.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        retry_after_s: int | None = None,
        from_runner: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry_after_s = retry_after_s
        self.from_runner = from_runner

    @property
    def headers(self) -> dict[str, str]:
        """What HTTP wants said beside the text."""
        if self.status == 401:
            return {hdrs.WWW_AUTHENTICATE: 'Bearer realm="llamawire"'}
        if self.retry_after_s is not None:
            return {hdrs.RETRY_AFTER: str(self.retry_after_s)}
        return {}


@dataclass(frozen=True)
class Failure:
    """What a gRPC error says."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int | None = None


@dataclass(frozen=True)
class _Row:
    status: int
    text: str = "{message}"
    from_runner: bool = False


_TABLE: Mapping[str, _Row] = {
    "INVALID_MODEL_NAME": _Row(400, "invalid model name"),
    "MODEL_NOT_FOUND": _Row(404, "model '{sent}' not found"),
    "MODEL_REQUIRED": _Row(400, "model is required"),
    "INVALID_ARGUMENT": _Row(400),
    "RAW_CONFLICT": _Row(400, "raw mode does not support template, system, or context"),
    "UNSUPPORTED_CAPABILITY": _Row(400, "{full_name} does not support {capability}"),
    "UNSUPPORTED_CAPABILITY/completion": _Row(400, '"{sent}" does not support generate'),
    "UNSUPPORTED_CAPABILITY/embedding": _Row(
        501, "This server does not support embeddings. Start it with `--embeddings`"
    ),
    "UNSUPPORTED_CAPABILITY/rerank": _Row(
        501, "This server does not support reranking. Start it with `--reranking`"
    ),
    "UNSUPPORTED_CAPABILITY/thinking": _Row(400, '"{sent}" does not support thinking'),
    "NOT_IMPLEMENTED": _Row(400),
    "NOT_IMPLEMENTED/field": _Row(400, "{field} is not supported by this version of llamawire"),
    "INVALID_OPTION": _Row(400),
    "INVALID_OPTION/type": _Row(500, 'option "{option}" must be of type {expected}'),
    "INVALID_OPTION/strings": _Row(500, 'option "{option}" must be of an array of strings'),
    "INVALID_FORMAT": _Row(400, from_runner=True),
    "INVALID_TEMPLATE": _Row(500),
    "TEMPLATE_FAILED": _Row(500),
    "PROMPT_TOO_LONG": _Row(
        400,
        "request ({received} tokens) exceeds the available context size ({limit} tokens), "
        "try increasing it",
        from_runner=True,
    ),
    "PROMPT_TOO_LONG/no shift": _Row(
        400,
        "the prompt is longer than the context length currently available to the model; shorten "
        "the prompt, adjust the context length in settings, or use a model with a longer context "
        "length",
        from_runner=True,
    ),
    "IMAGES_UNSUPPORTED": _Row(400, _NO_IMAGES, from_runner=True),
    "INVALID_IMAGE": _Row(400, from_runner=True),
    "INPUT_TOO_LONG": _Row(400, "the input length exceeds the context length"),
    "QUEUE_FULL": _Row(503, "server busy, please try again.  maximum pending requests exceeded"),
    "LOAD_FAILED": _Row(500),
    "LOAD_TIMEOUT": _Row(500),
    "LOAD_HELD_OFF": _Row(503),
    "OUT_OF_MEMORY": _Row(500),
    "WORKER_CRASHED": _Row(500, _RUNNER_GONE + ": {message}", from_runner=True),
    "SHUTTING_DOWN": _Row(503),
    "INVALID_DIGEST": _Row(400, "invalid digest format"),
    "DIGEST_MISMATCH": _Row(400, 'digest mismatch, expected "{expected}", got "{actual}"'),
    "INVALID_GGUF": _Row(400),
    "CREATE_REFUSED": _Row(400),
    "CREATE_FAILED": _Row(500),
    "BLOB_NOT_FOUND": _Row(500),
    "CORRUPT_MANIFEST": _Row(500),
    "STORE_BUSY": _Row(503),
    "READ_ONLY": _Row(403),
    "REGISTRY_UNREACHABLE": _Row(500),
    "REGISTRY_REFUSED": _Row(500),
    "REGISTRY_UNAUTHORIZED": _Row(500),
    "REGISTRY_MISBEHAVED": _Row(500),
    "NOT_IN_REGISTRY": _Row(500),
    "DOWNLOAD_CORRUPT": _Row(500),
    "DISK_FULL": _Row(500),
    "STORE_FAILED": _Row(500),
    "KEY_MISSING": _Row(401),
    "KEY_INVALID": _Row(401),
    "SCOPE_MISSING": _Row(403),
    "MODEL_NOT_ALLOWED": _Row(403),
    "QUOTA_EXCEEDED": _Row(429),
    "INTERNAL": _Row(500, from_runner=True),
}
# Statuses after which trying again helps.
_PASSING = (429, 503)
# Where a route has its own words.
_ROUTES: Mapping[str, Mapping[str, _Row]] = {
    "generate": {"MODEL_REQUIRED": _Row(404, "model '{sent}' not found")},
    "chat": {"UNSUPPORTED_CAPABILITY/completion": _Row(400, '"{sent}" does not support chat')},
    "embed": {
        "MODEL_REQUIRED": _Row(404, "model '{sent}' not found"),
        "MODEL_NOT_FOUND": _Row(404, 'model "{sent}" not found, try pulling it first'),
    },
    "embeddings": {
        "MODEL_NOT_FOUND": _Row(404, 'model "{sent}" not found, try pulling it first'),
        "INVALID_ARGUMENT": _Row(500),
        "INPUT_TOO_LONG": _Row(500, "the input length exceeds the context length"),
        "UNSUPPORTED_CAPABILITY/embedding": _Row(
            500, "This server does not support embeddings. Start it with `--embeddings`"
        ),
    },
    "create": {
        "MODEL_REQUIRED": _Row(400, "invalid model name"),
        "INVALID_DIGEST": _Row(500, "invalid digest format"),
        "INVALID_TEMPLATE": _Row(400),
        "INVALID_GGUF": _Row(500),
    },
    "copy": {
        "MODEL_REQUIRED": _Row(400, "{place} {quoted} is invalid"),
        "INVALID_MODEL_NAME": _Row(400, "{place} {quoted} is invalid"),
        "MODEL_NOT_FOUND": _Row(404, 'model "{sent}" not found'),
    },
    "show": {"MODEL_NOT_FOUND": _Row(404, "model '{model}' not found")},
    "delete": {"INVALID_MODEL_NAME": _Row(400, "name {quoted} is invalid")},
    # What is wrong is found after the first line; without one, upstream knows but one status.
    "pull": {"INVALID_DIGEST": _Row(500, "invalid digest format"), "INVALID_GGUF": _Row(500)},
    "push": {
        "INVALID_MODEL_NAME": _Row(500),
        "MODEL_NOT_FOUND": _Row(500, "open {path}: no such file or directory"),
    },
}
# Errors without a reason: a proxy's, the channel's, or an older engine's.
_CODES: Mapping[grpc.StatusCode, _Row] = {
    grpc.StatusCode.CANCELLED: _Row(499, "request canceled"),
    grpc.StatusCode.INVALID_ARGUMENT: _Row(400),
    grpc.StatusCode.OUT_OF_RANGE: _Row(400),
    grpc.StatusCode.FAILED_PRECONDITION: _Row(400),
    grpc.StatusCode.NOT_FOUND: _Row(404),
    grpc.StatusCode.PERMISSION_DENIED: _Row(403),
    grpc.StatusCode.UNAUTHENTICATED: _Row(401),
    # Without a reason this is gRPC's own limit on the size of a message.
    grpc.StatusCode.RESOURCE_EXHAUSTED: _Row(413),
    grpc.StatusCode.UNAVAILABLE: _Row(503, _ENGINE_GONE),
    grpc.StatusCode.UNIMPLEMENTED: _Row(501),
}
_UNKNOWN = _Row(500, from_runner=True)

_GO_TYPES = frozenset(("float32", "integer", "boolean", "array"))


class _Names(dict[str, str]):
    """What the texts may name; what an engine left out is empty."""

    def __missing__(self, key: str) -> str:
        return ""


def error_info(err: grpc.aio.AioRpcError) -> Failure:
    """Reads the error's google.rpc details, if it has any that can be read."""
    message = err.details() or ""
    status = _details(err)
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    retry_after_s: int | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            detail.Unpack(retry)
            delay = retry.retry_delay
            retry_after_s = max(1, math.ceil(delay.seconds + delay.nanos / 1e9))
    return Failure(
        err.code(), status.message or message, info.reason, dict(info.metadata), retry_after_s
    )


def _details(err: grpc.aio.AioRpcError) -> status_pb2.Status:
    metadata = cast("Iterable[tuple[str, str | bytes]]", err.trailing_metadata() or ())
    for key, value in metadata:
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def rest_error(
    err: grpc.aio.AioRpcError, route: str, sent: str, *, destination: str | None = None
) -> RestError:
    """The answer for an error of a call on behalf of `route`; `sent` is the name the client wrote.

    `destination` is the other name of a copy.
    """
    failure = error_info(err)
    row = _row(failure, route)
    place, name = _blamed(failure, sent, destination)
    names = _Names(
        failure.metadata,
        message=failure.message,
        sent=sent,
        quoted=quote(name),
        place=place,
    )
    retry_after_s = failure.retry_after_s
    if row.status in _PASSING and retry_after_s is None:
        retry_after_s = 1
    return RestError(
        row.status,
        row.text.format_map(names),
        retry_after_s=retry_after_s if row.status in _PASSING else None,
        from_runner=row.from_runner,
    )


def mid_stream_text(err: grpc.aio.AioRpcError, route: str, sent: str) -> str:
    """The text of an error line after other lines."""
    failure = error_info(err)
    if _row(failure, route).from_runner or not failure.reason:
        return f"an error was encountered while running the model: {failure.message}"
    return rest_error(err, route, sent).text


def capability_error(capability: str, route: str, sent: str, full_name: str) -> str:
    """The text for one capability that a model lacks."""
    key = f"UNSUPPORTED_CAPABILITY/{capability}"
    row = _ROUTES.get(route, {}).get(key) or _TABLE.get(key, _TABLE["UNSUPPORTED_CAPABILITY"])
    return row.text.format(sent=sent, full_name=full_name, capability=capability)


def _row(failure: Failure, route: str) -> _Row:
    if not failure.reason:
        return _CODES.get(failure.code, _UNKNOWN)
    here = _ROUTES.get(route, {})
    for key in (_refined(failure), failure.reason):
        if row := here.get(key) or _TABLE.get(key):
            return row
    return _CODES.get(failure.code, _UNKNOWN)


def _refined(failure: Failure) -> str:
    """The key of the row for this variant of a reason."""
    reason, metadata = failure.reason, failure.metadata
    if reason == "UNSUPPORTED_CAPABILITY":
        return f"{reason}/{metadata.get('capability')}"
    if reason == "NOT_IMPLEMENTED" and metadata.get("field"):
        return f"{reason}/field"
    if reason == "INVALID_OPTION" and metadata.get("expected") in _GO_TYPES:
        return f"{reason}/type"
    if reason == "INVALID_OPTION" and "strings" in metadata.get("expected", ""):
        return f"{reason}/strings"
    if reason == "PROMPT_TOO_LONG" and metadata.get("shift", "").lower() in ("false", "0", "off"):
        return f"{reason}/no shift"
    return reason


def _blamed(failure: Failure, source: str, destination: str | None) -> tuple[str, str]:
    """Which of the two names of a copy is wrong; the source is looked at first."""
    if destination is None or failure.metadata.get("model", "") == source:
        return "source", source
    if failure.reason == "MODEL_REQUIRED" and not source:
        return "source", source
    return "destination", destination
