"""The table from reasons to HTTP."""

from __future__ import annotations

import grpc
import pytest

from llamawire.rest.errors import error_info, mid_stream_text, rest_error
from rest.fake_engine import Failed

CODE = grpc.StatusCode
MESSAGE = "it went wrong"
LONG = "the prompt is longer than the context length currently available to the model; shorten "


@pytest.mark.parametrize(
    ("reason", "metadata", "status", "text"),
    [
        ("INVALID_MODEL_NAME", {"model": "a b"}, 400, "invalid model name"),
        ("MODEL_NOT_FOUND", {"model": "x"}, 404, "model 'a {b}' not found"),
        ("MODEL_REQUIRED", {}, 404, "model 'a {b}' not found"),
        ("INVALID_ARGUMENT", {"field": "x"}, 400, MESSAGE),
        ("RAW_CONFLICT", {}, 400, "raw mode does not support template, system, or context"),
        ("UNSUPPORTED_CAPABILITY", {"capability": "completion"}, 400,
         '"a {b}" does not support generate'),
        ("UNSUPPORTED_CAPABILITY", {"capability": "thinking"}, 400,
         '"a {b}" does not support thinking'),
        ("UNSUPPORTED_CAPABILITY", {"capability": "insert", "full_name": "h/n/m:t"}, 400,
         "h/n/m:t does not support insert"),
        ("UNSUPPORTED_CAPABILITY", {"capability": "vision", "full_name": "h/n/m:t"}, 400,
         "h/n/m:t does not support vision"),
        ("NOT_IMPLEMENTED", {"field": "format"}, 400,
         "format is not supported by this version of llamawire"),
        ("NOT_IMPLEMENTED", {}, 400, MESSAGE),
        ("INVALID_OPTION", {"option": "top_k", "expected": "integer"}, 500,
         'option "top_k" must be of type integer'),
        ("INVALID_OPTION", {"option": "stop", "expected": "array of strings"}, 500,
         'option "stop" must be of an array of strings'),
        ("INVALID_OPTION", {"option": "num_ctx", "expected": "at least 4"}, 400, MESSAGE),
        ("INVALID_TEMPLATE", {}, 500, MESSAGE),
        ("TEMPLATE_FAILED", {}, 500, MESSAGE),
        ("PROMPT_TOO_LONG", {"received": "391", "limit": "256", "shift": "true"}, 400,
         "request (391 tokens) exceeds the available context size (256 tokens), try increasing it"),
        ("PROMPT_TOO_LONG", {"received": "391", "limit": "256", "shift": "false"}, 400,
         LONG + "the prompt, adjust the context length in settings, or use a model with a longer "
         "context length"),
        ("QUEUE_FULL", {"limit": "1"}, 503,
         "server busy, please try again.  maximum pending requests exceeded"),
        ("LOAD_FAILED", {}, 500, MESSAGE),
        ("LOAD_TIMEOUT", {}, 500, MESSAGE),
        ("OUT_OF_MEMORY", {}, 500, MESSAGE),
        ("SHUTTING_DOWN", {}, 503, MESSAGE),
        ("INVALID_DIGEST", {}, 400, "invalid digest format"),
        ("DIGEST_MISMATCH", {"expected": "a", "actual": "b"}, 400,
         'digest mismatch, expected "a", got "b"'),
        ("INVALID_GGUF", {}, 400, MESSAGE),
        ("CREATE_REFUSED", {}, 400, MESSAGE),
        ("CREATE_FAILED", {}, 500, MESSAGE),
        ("READ_ONLY", {}, 403, MESSAGE),
        ("STORE_FAILED", {}, 500, MESSAGE),
        ("KEY_MISSING", {}, 401, MESSAGE),
        ("KEY_INVALID", {}, 401, MESSAGE),
        ("SCOPE_MISSING", {"key": "k", "scopes": "models"}, 403, MESSAGE),
        ("MODEL_NOT_ALLOWED", {"key": "k", "model": "m"}, 403, MESSAGE),
        ("QUOTA_EXCEEDED", {"key": "k", "limit": "requests_per_minute"}, 429, MESSAGE),
        ("INTERNAL", {}, 500, MESSAGE),
        ("A_REASON_OF_THE_FUTURE", {}, 500, MESSAGE),
    ],
)  # fmt: skip
def test_reasons(reason: str, metadata: dict[str, str], status: int, text: str) -> None:
    answer = rest_error(Failed(reason, **metadata).as_rpc_error(), "generate", "a {b}")
    assert (answer.status, answer.text) == (status, text)
    assert (answer.retry_after_s is not None) == (status in (429, 503))


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (CODE.CANCELLED, 499, "request canceled"),
        (CODE.INVALID_ARGUMENT, 400, MESSAGE),
        (CODE.NOT_FOUND, 404, MESSAGE),
        (CODE.RESOURCE_EXHAUSTED, 413, MESSAGE),
        (CODE.UNIMPLEMENTED, 501, MESSAGE),
        (CODE.UNKNOWN, 500, MESSAGE),
        (
            CODE.UNAVAILABLE,
            503,
            "the llamawire engine cannot be reached; is `llamawire serve` running? (it went wrong)",
        ),
    ],
)
def test_statuses_without_a_reason(code: grpc.StatusCode, status: int, text: str) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), MESSAGE)
    for error in (bare, Failed(code=code).as_rpc_error()):
        answer = rest_error(error, "generate", "m")
        assert (answer.status, answer.text) == (status, text)


def test_details_that_cannot_be_read_are_ignored() -> None:
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff"))
    error = grpc.aio.AioRpcError(CODE.INTERNAL, grpc.aio.Metadata(), trailing, MESSAGE)
    assert error_info(error).message == MESSAGE


def test_error_info_reads_everything() -> None:
    failed = Failed("QUEUE_FULL", "full", CODE.RESOURCE_EXHAUSTED, retry_s=0.2, limit="5")
    failure = error_info(failed.as_rpc_error())
    assert (failure.reason, failure.message, failure.retry_after_s) == ("QUEUE_FULL", "full", 1)
    assert failure.metadata == {"limit": "5"}
    assert failure.code is CODE.RESOURCE_EXHAUSTED


def test_texts_in_mid_stream() -> None:
    crash = Failed("WORKER_CRASHED", "signal 6").as_rpc_error()
    assert mid_stream_text(crash, "generate", "m") == (
        "an error was encountered while running the model: signal 6"
    )
    drain = Failed("SHUTTING_DOWN", "the server drains", CODE.UNAVAILABLE).as_rpc_error()
    assert mid_stream_text(drain, "generate", "m") == "the server drains"
