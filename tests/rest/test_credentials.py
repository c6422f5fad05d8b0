"""A request's key goes to the engine, and what the engine says of it comes back."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest

from rest.conftest import Rest
from rest.fake_engine import Failed

LONG = 300 << 10
CODE = grpc.StatusCode


def no_key() -> Failed:
    return Failed("KEY_MISSING", "a key is wanted", CODE.UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/generate", {"model": "tiny", "prompt": "x"}),
        ("POST", "/api/chat", {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}),
        ("POST", "/v1/chat/completions", {"model": "tiny", "messages": [
            {"role": "user", "content": "x"}]}),
        ("POST", "/v1/responses", {"model": "tiny", "input": "x"}),
        ("POST", "/v1/messages", {"model": "tiny", "max_tokens": 1, "messages": [
            {"role": "user", "content": "x"}]}),
        ("POST", "/api/embed", {"model": "tiny", "input": "x"}),
        ("POST", "/api/pull", {"model": "tiny"}),
        ("DELETE", "/api/delete", {"model": "tiny"}),
        ("POST", "/api/blobs/sha256:" + "0" * 64, b"x"),
        ("GET", "/api/tags", None),
        ("GET", "/api/version", None),
    ],
)  # fmt: skip
async def test_every_route_hands_the_key_on(
    rest: Rest, method: str, path: str, body: object
) -> None:
    await rest.request(method, path, body, Authorization="Bearer lw_1")
    assert set(rest.engine.authorizations) == {"Bearer lw_1"}
    rest.engine.authorizations.clear()
    await rest.request(method, path, body)
    assert set(rest.engine.authorizations) == {""}


async def test_requests_of_one_connection_have_each_their_own_key(rest: Rest) -> None:
    reader, writer = await rest.connect()
    for key in ("Bearer a", "", "Bearer b"):
        header = f"Authorization: {key}\r\n" if key else ""
        writer.write(f"GET /api/tags HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        await reader.readuntil(b"]}")
    assert rest.engine.authorizations == ["Bearer a", "", "Bearer b"]


@pytest.mark.parametrize("value", ["Bearer \xe9", "Bearer " + "x" * 5000])
async def test_what_can_be_no_key_is_not_handed_on(rest: Rest, value: str) -> None:
    head = f"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}"
    assert b" 200 " in await rest.raw(head)
    assert rest.engine.authorizations == [""]


async def test_health_is_asked_without(rest: Rest) -> None:
    answer = await rest.request("GET", "/readyz", Authorization="Bearer lw_1")
    assert answer.status == 200
    assert rest.engine.authorizations == [""]


async def test_refusals_have_the_words_and_headers_of_http(rest: Rest) -> None:
    failures = rest.engine.failures
    failures["Generate"] = no_key()
    answer = await rest.generate(prompt="x")
    assert (answer.status, answer.error) == (401, "a key is wanted")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="llamawire"'
    failures["Generate"] = Failed("MODEL_NOT_ALLOWED", "not yours", CODE.PERMISSION_DENIED)
    answer = await rest.generate(prompt="x")
    assert (answer.status, answer.error) == (403, "not yours")
    failures["Generate"] = Failed(
        "QUOTA_EXCEEDED", "used up", CODE.RESOURCE_EXHAUSTED, retry_s=29.2
    )
    answer = await rest.generate(prompt="x", stream=False)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    failures["PullModel"] = failures["Generate"]
    answer = await rest.request("POST", "/api/pull", {"model": "tiny"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")


@pytest.mark.parametrize(
    ("reason", "code", "status", "type_"),
    [
        ("KEY_INVALID", CODE.UNAUTHENTICATED, 401, "authentication_error"),
        ("SCOPE_MISSING", CODE.PERMISSION_DENIED, 403, "api_error"),
        ("QUOTA_EXCEEDED", CODE.RESOURCE_EXHAUSTED, 429, "rate_limit_error"),
    ],
)
async def test_openais_clients_see_their_own_shape(
    rest: Rest, reason: str, code: grpc.StatusCode, status: int, type_: str
) -> None:
    rest.engine.failures["Chat"] = Failed(reason, "no", code)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
    answer = await rest.request("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.json["error"]["type"]) == (status, type_)


@pytest.mark.parametrize("framing", ["Content-Length: 9999999", "Transfer-Encoding: chunked"])
async def test_a_stranger_sends_no_long_body(rest: Rest, framing: str) -> None:
    """The answer comes before the body does."""
    rest.engine.failures["GetVersion"] = no_key()
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n"
    reader, _ = await rest.send_raw(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert rest.engine.names() == ["GetVersion"]


async def test_a_guest_sends_a_long_body_whatever_else_the_engine_says(rest: Rest) -> None:
    body = json.dumps({"model": "tiny", "prompt": "x" * LONG}).encode()
    assert (await rest.request("POST", "/api/generate", body)).status == 200
    rest.engine.failures["GetVersion"] = Failed("SHUTTING_DOWN", "no", CODE.UNAVAILABLE)
    assert (await rest.request("POST", "/api/generate", body)).status == 200
