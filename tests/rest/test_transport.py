"""Routes, redirects, Host, CORS, bodies: everything around the handlers."""

from __future__ import annotations

import asyncio
import gzip
import logging

import aiohttp
import pytest

from llamawire.rest import RestSettings
from llamawire.rest.cors import Cors, parse_origins
from llamawire.rest.host import is_allowed_host
from rest.conftest import Rest, Start
from rest.fake_engine import Failed


async def test_root(rest: Rest) -> None:
    reply = await rest.request("GET", "/")
    assert (reply.status, reply.body) == (200, b"Ollama is running")
    assert reply.type == "text/plain; charset=utf-8"
    assert "Server" not in reply.headers
    assert "Date" in reply.headers


@pytest.mark.parametrize(("path", "length"), [("/", 17), ("/api/version", 19), ("/api/tags", 13)])
async def test_head(rest: Rest, path: str, length: int) -> None:
    head = await rest.raw(f"HEAD {path} HTTP/1.1\r\nHost: localhost")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {length}\r\n".encode() in head
    assert head.endswith(b"\r\n\r\n")


async def test_version_and_status(rest: Rest) -> None:
    reply = await rest.request("GET", "/api/version")
    assert reply.body == b'{"version":"1.2.3"}'
    assert reply.type == "application/json; charset=utf-8"
    reply = await rest.request("GET", "/api/status")
    assert reply.body == b'{"cloud":{"disabled":true,"source":"env"}}'


@pytest.mark.parametrize(
    "path", ["/nope", "/API/tags", "/api", "/api/blobs", "/api/blobs/", "//x", "/%0a", "/%ff"]
)
async def test_unknown_paths(rest: Rest, path: str) -> None:
    answer = await rest.raw(f"GET {path} HTTP/1.1\r\nHost: localhost")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"Content-Type: text/plain\r\n" in head
    assert body == b"404 page not found"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/generate", "POST"),
        ("POST", "/api/tags", "HEAD, GET"),
        ("DELETE", "/", "HEAD, GET"),
        ("HEAD", "/api/ps", "GET"),
        ("GET", "/api/blobs/sha256:x", "HEAD, POST"),
        ("POST", "/api/delete", "DELETE"),
    ],
)
async def test_wrong_methods(rest: Rest, method: str, path: str, allow: str) -> None:
    reply = await rest.request(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, allow)
    assert reply.type == "text/plain"
    assert reply.body == (b"" if method == "HEAD" else b"405 method not allowed")


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("GET", "/api/tags/?a=b", 301, "/api/tags?a=b"),
        ("HEAD", "/api/tags/", 307, "/api/tags"),
        ("POST", "/api/generate/", 307, "/api/generate"),
        ("POST", "//api//generate", 307, "/api/generate"),
        ("POST", "/api/x/../generate", 307, "/api/generate"),
        ("GET", "/./api/tags", 301, "/api/tags"),
        ("DELETE", "/api/delete/", 307, "/api/delete"),
        ("POST", "/api/blobs/x%0d%0ay/", 307, "/api/blobs/x%0D%0Ay"),
    ],
)
async def test_redirects(rest: Rest, method: str, path: str, status: int, location: str) -> None:
    answer = await rest.raw(f"{method} {path} HTTP/1.1\r\nHost: localhost")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Location: {location}\r\n".encode() in head
    if method == "GET":
        assert b"text/html; charset=utf-8" in head
        assert body.startswith(b'<a href="/api/tags')
    else:
        assert body == b""


async def test_no_redirect_to_a_method_that_is_not_there(rest: Rest) -> None:
    assert (await rest.request("GET", "/api/generate/")).status == 404


@pytest.mark.parametrize("path", ["/api/t%61gs", "/api%2Ftags", "/api/tags?x=/nope"])
async def test_paths_are_decoded_and_queries_ignored(rest: Rest, path: str) -> None:
    answer = await rest.raw(f"GET {path} HTTP/1.1\r\nHost: localhost")
    assert answer.endswith(b'{"models":[]}')


async def test_content_type_and_authorization_are_not_looked_at(rest: Rest) -> None:
    body = {"model": "tiny", "prompt": "p"}
    for headers in ({"Content_Type": "text/html"}, {"Authorization": "Basic x"}):
        assert (await rest.request("POST", "/api/generate", body, **headers)).status == 200


async def test_bad_bodies_answer_400(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/generate", b"xyz")
    assert reply.status == 400
    assert reply.body == (b'{"error":"invalid character \'x\' looking for beginning of value"}')
    assert reply.type == "application/json; charset=utf-8"
    assert reply.headers["Content-Length"] == str(len(reply.body))
    reply = await rest.request("POST", "/api/generate")
    assert (reply.status, reply.error) == (400, "missing request body")


async def test_a_packed_body_is_not_unpacked(rest: Rest) -> None:
    packed = gzip.compress(b'{"model":"tiny"}')
    reply = await rest.request("POST", "/api/generate", packed, Content_Encoding="gzip")
    assert reply.error == r"invalid character '\x1f' looking for beginning of value"


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_large_body_is_refused_with_the_limit(start: Start, is_chunked: bool) -> None:
    rest = await start(settings=RestSettings(body_bytes_max=1000))
    body = b'{"prompt":"' + b"x" * 2000 + b'"}'
    if is_chunked:
        head = "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        head += "Connection: close"
        reader, _ = await rest.send_raw(
            f"{head}\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        )
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(
            b'{"error":"the request body is larger than the limit of 1000 bytes"}'
        )
    else:
        reply = await rest.request("POST", "/api/generate", body)
        assert reply.status == 413
        assert reply.error == "the request body is larger than the limit of 1000 bytes"


async def test_a_large_body_within_the_limit_is_read(rest: Rest) -> None:
    reply = await rest.generate(prompt="é" * (8 << 20), stream=False)
    assert reply.status == 200


async def test_expect_100_continue(rest: Rest) -> None:
    body = b'{"model":"tiny"}'
    reader, writer = await rest.send_raw(
        b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:11434", "x.localhost", "printer.local:80", "a.internal", "127.0.0.1",
     "10.1.2.3:5", "192.168.1.1", "172.31.0.1", "0.0.0.0", "[::1]:11434", "[fd00::1]", "", "Box"],
)  # fmt: skip
def test_hosts_of_this_machine(host: str) -> None:
    assert is_allowed_host(host, lambda: "box", lambda address: False)


@pytest.mark.parametrize(
    "host", ["evil.example", "8.8.8.8", "localhost.evil.example", "172.32.0.1:80", "[2001:db8::1]"]
)
def test_hosts_of_others(host: str) -> None:
    assert not is_allowed_host(host, lambda: "box", lambda address: False)


def test_an_address_of_our_own_is_allowed() -> None:
    assert is_allowed_host("8.8.8.8", lambda: "box", lambda address: address == "8.8.8.8")
    assert not is_allowed_host("8.8.8.8")


@pytest.mark.parametrize("path", ["/", "/api/generate", "/nope"])
async def test_a_foreign_host_is_refused_on_every_path(rest: Rest, path: str) -> None:
    answer = await rest.raw(f"GET {path} HTTP/1.1\r\nHost: evil.example")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"Content-Length: 0\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_options_without_origin(rest: Rest) -> None:
    named = await rest.raw("OPTIONS /api/tags HTTP/1.1\r\nHost: localhost")
    assert named.startswith(b"HTTP/1.1 204 ")
    assert b"Allow: HEAD, GET\r\n" in named
    assert (await rest.raw("OPTIONS /nope HTTP/1.1\r\nHost: localhost")).startswith(b"HTTP/1.1 204")
    addressed = await rest.raw("OPTIONS /api/tags HTTP/1.1\r\nHost: 127.0.0.1")
    assert addressed.startswith(b"HTTP/1.1 405 ")


async def test_a_foreign_origin_is_refused(rest: Rest) -> None:
    for method, path in (("GET", "/"), ("POST", "/api/generate"), ("OPTIONS", "/nope")):
        reply = await rest.request(method, path, Origin="http://evil.example")
        assert (reply.status, reply.body) == (403, b"")
    assert (await rest.request("GET", "/", Origin="null")).status == 403
    assert not rest.engine.requests


@pytest.mark.parametrize("path", ["/", "/nope", "/api/generate"])
async def test_an_allowed_origin_is_named_on_every_answer(rest: Rest, path: str) -> None:
    reply = await rest.request("GET", path, Origin="http://localhost:3000")
    assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert reply.headers["Vary"] == "Origin"


async def test_streams_carry_the_origin_too(rest: Rest) -> None:
    body = {"model": "tiny", "prompt": "p"}
    reply = await rest.request("POST", "/api/generate", body, Origin="app://x")
    assert reply.headers["Access-Control-Allow-Origin"] == "app://x"


async def test_the_server_s_own_origin_needs_no_leave(rest: Rest) -> None:
    reply = await rest.request("GET", "/", Origin=f"http://127.0.0.1:{rest.port}")
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_preflight(rest: Rest) -> None:
    reply = await rest.request("OPTIONS", "/any/path", Origin="https://localhost")
    assert (reply.status, reply.body) == (204, b"")
    headers = reply.headers
    assert headers["Access-Control-Allow-Origin"] == "https://localhost"
    assert headers["Access-Control-Allow-Methods"] == "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
    assert headers["Access-Control-Allow-Headers"].startswith("Authorization,Content-Type,User-A")
    allowed = headers["Access-Control-Allow-Headers"].split(",")
    # What the clients of OpenAI and of Anthropic send from a browser.
    assert {"Openai-Beta", "X-Stainless-Timeout", "X-Api-Key", "Anthropic-Version"} <= set(allowed)
    assert headers["Access-Control-Max-Age"] == "43200"
    assert headers["Vary"] == (
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    )


async def test_all_origins(start: Start) -> None:
    rest = await start(settings=RestSettings(origins=("*",)))
    for origin in ("null", "http://evil.example", "chrome-extension://x"):
        for method, status in (("GET", 200), ("OPTIONS", 204)):
            reply = await rest.request(method, "/", Origin=origin)
            assert reply.status == status
            assert reply.headers["Access-Control-Allow-Origin"] == "*"
            assert "Vary" not in reply.headers


def test_patterns_of_origins() -> None:
    cors = Cors(parse_origins(" http://a.example , https://*.b.example,moz-extension://*,"))
    for origin in (
        "http://a.example", "https://x.b.example", "moz-extension://1", "http://0.0.0.0:1",
        "https://127.0.0.1", "file://", "vscode-webview://x",
    ):  # fmt: skip
        assert cors.allows(origin)
    for origin in (
        "https://a.example",
        "https://b.example",
        "HTTP://localhost",
        "null",
        "http://x",
    ):
        assert not cors.allows(origin)
    with pytest.raises(ValueError, match=r"more than one \*"):
        Cors(("http://*.x.*",))


async def test_an_unexpected_failure_is_an_error_with_a_body(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def broken_clock() -> int:
        raise RuntimeError("broken clock")

    rest = await start(clock_ns=broken_clock)
    reply = await rest.generate()
    assert (reply.status, reply.error) == (500, "internal error")
    assert "broken clock" in caplog.text


async def test_an_unexpected_failure_in_mid_stream_cuts_the_body(start: Start) -> None:
    ticks = iter(range(2))
    rest = await start(clock_ns=lambda: next(ticks))
    with pytest.raises(aiohttp.ClientPayloadError):
        await rest.generate(prompt="p")
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)


async def test_a_hang_up_within_the_body_leaves_nothing_behind(rest: Rest) -> None:
    _, writer = await rest.send_raw(
        b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.transport.abort()
    assert (await rest.request("GET", "/")).status == 200
    assert not rest.engine.requests


async def test_many_requests_at_once(rest: Rest) -> None:
    replies = await asyncio.gather(*(rest.generate(prompt=str(n)) for n in range(30)))
    assert all(len(reply.lines) == 4 for reply in replies)


async def test_errors_without_details_fall_back_to_the_status(rest: Rest) -> None:
    rest.engine.failures["GetVersion"] = Failed(message="odd")
    reply = await rest.request("GET", "/api/version")
    assert (reply.status, reply.error) == (500, "odd")


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\0\x01", b"GET", b"GET / HTTP/1.1\r\nA: \xff\0"]
)
async def test_broken_http_does_not_fill_the_log(
    rest: Rest, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    reader, _ = await rest.send_raw(request_ + b"\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
