"""Pull and push over REST: lines, single answers, and errors in either form."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from llamawire.v1 import model_service_pb2 as pb
from rest.conftest import Rest
from rest.fake_engine import Failed

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DIGEST = "sha256:" + "ab" * 32
ROUTES = {"pull": pb.PullModelResponse, "push": pb.PushModelResponse}
both_routes = pytest.mark.parametrize("route", ROUTES)


def progress(route: str, status: str, **fields: object) -> Any:
    return ROUTES[route](status=status, **fields)  # type: ignore[operator]


def work(route: str) -> list[object]:
    return [
        progress(route, "pulling manifest"),
        progress(route, "pulling abababababab", digest=DIGEST, total_bytes=10),
        progress(
            route, "pulling abababababab", digest=DIGEST, total_bytes=10, completed_bytes=10
        ),
        progress(route, "success"),
    ]  # fmt: skip


@both_routes
async def test_lines(rest: Rest, route: str) -> None:
    rest.engine.progress = work(route)
    reply = await rest.request("POST", f"/api/{route}", {"model": "m"})
    assert (reply.status, reply.type) == (200, "application/x-ndjson")
    assert reply.lines == [
        {"status": "pulling manifest"},
        {"status": "pulling abababababab", "digest": DIGEST, "total": 10},
        {"status": "pulling abababababab", "digest": DIGEST, "total": 10, "completed": 10},
        {"status": "success"},
    ]


@both_routes
async def test_one_answer(rest: Rest, route: str) -> None:
    rest.engine.progress = work(route)
    reply = await rest.request("POST", f"/api/{route}", {"name": "m", "stream": False})
    assert (reply.status, reply.type) == (200, "application/json")
    assert reply.body == b'{"status":"success"}'


@both_routes
async def test_the_request(rest: Rest, route: str) -> None:
    body = {"model": "h/n/m:t", "insecure": True, "username": "me", "password": "secret"}
    await rest.request("POST", f"/api/{route}", body)
    request: Any = rest.engine.requests[-1]
    assert (request.model, request.insecure) == ("h/n/m:t", True)
    assert (request.credentials.username, request.credentials.password) == ("me", "secret")
    await rest.request("POST", f"/api/{route}", {"model": "m"})
    request = rest.engine.requests[-1]
    assert not request.HasField("credentials")


@both_routes
async def test_an_error_after_lines_is_a_line(rest: Rest, route: str) -> None:
    text = "pull model manifest: file does not exist"
    failed = Failed("NOT_IN_REGISTRY", text, code=grpc.StatusCode.NOT_FOUND)
    rest.engine.progress = [progress(route, "pulling manifest"), failed]
    reply = await rest.request("POST", f"/api/{route}", {"model": "m"})
    assert reply.status == 200
    assert reply.lines == [{"status": "pulling manifest"}, {"error": text}]
    reply = await rest.request("POST", f"/api/{route}", {"model": "m", "stream": False})
    assert (reply.status, reply.type) == (500, "application/json")
    assert reply.json == {"error": text}


@pytest.mark.parametrize(
    "reason",
    ["REGISTRY_UNREACHABLE", "REGISTRY_REFUSED", "REGISTRY_UNAUTHORIZED", "REGISTRY_MISBEHAVED",
     "NOT_IN_REGISTRY", "DOWNLOAD_CORRUPT", "DISK_FULL", "INVALID_DIGEST", "INVALID_GGUF"],
)  # fmt: skip
@both_routes
async def test_every_failure_is_a_500(rest: Rest, route: str, reason: str) -> None:
    rest.engine.progress = [Failed(reason, "invalid digest format")]
    reply = await rest.request("POST", f"/api/{route}", {"model": "m", "stream": False})
    status = 400 if route == "push" and reason.startswith("INVALID") else 500
    assert (reply.status, reply.error) == (status, "invalid digest format")


async def test_bad_names_of_a_pull(rest: Rest) -> None:
    rest.engine.failures["PullModel"] = Failed("INVALID_MODEL_NAME", code=INVALID)
    for name in ("a/b/c/d", "", " "):
        reply = await rest.request("POST", "/api/pull", {"model": name})
        assert (reply.status, reply.error) == (400, "invalid model name")
    reply = await rest.request("POST", "/api/pull", {"model": "a:cloud:local"})
    assert reply.status == 400
    assert reply.error == 'use either :local or :cloud, not both: "a:cloud:local"'


async def test_bad_names_of_a_push(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/push", {"model": ""})
    assert (reply.status, reply.error) == (400, "model is required")
    lines = [
        progress("push", "retrieving manifest"),
        progress("push", "couldn't retrieve manifest"),
    ]
    text = "unqualified name: a/b/c/d"
    rest.engine.progress = [*lines, Failed("INVALID_MODEL_NAME", text, code=INVALID)]
    reply = await rest.request("POST", "/api/push", {"model": "a/b/c/d"})
    assert reply.lines[1:] == [{"status": "couldn't retrieve manifest"}, {"error": text}]
    missing = Failed("MODEL_NOT_FOUND", "no", code=grpc.StatusCode.NOT_FOUND, path="/m/a")
    rest.engine.progress = [*lines, missing]
    reply = await rest.request("POST", "/api/push", {"model": "a"})
    assert reply.lines[-1] == {"error": "open /m/a: no such file or directory"}


@both_routes
async def test_a_client_that_leaves_ends_it(rest: Rest, route: str) -> None:
    rest.engine.progress = [progress(route, "pulling manifest"), asyncio.Event()]
    body = b'{"model":"m"}'
    reader, writer = await rest.send_raw(
        b"POST /api/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
        % (route.encode(), len(body), body)
    )
    await reader.readuntil(b"manifest")
    writer.close()
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)
    assert rest.engine.was_cancelled
