"""Management routes: tags, ps, create, copy, delete, blobs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from datetime import datetime

import grpc
import pytest
from google.protobuf import timestamp_pb2

from llamawire.v1 import model_pb2, model_service_pb2
from rest.conftest import Rest
from rest.fake_engine import MODEL, Failed

NOT_FOUND = grpc.StatusCode.NOT_FOUND
INVALID = grpc.StatusCode.INVALID_ARGUMENT
DIGEST = "sha256:" + "0" * 64
NOT_YET = "is not supported by this version of llamawire"
UPLOAD_HEAD = (
    f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
).encode()


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.usefixtures("_utc")
async def test_tags(rest: Rest) -> None:
    assert (await rest.request("GET", "/api/tags")).body == b'{"models":[]}'
    rest.engine.models = [MODEL, model_pb2.Model(name="x:y")]
    first, second = (await rest.request("GET", "/api/tags")).json["models"]
    assert json.dumps(first, separators=(",", ":")) == (
        '{"name":"tiny:latest","model":"tiny:latest","modified_at":"2023-11-14T22:13:20.12Z",'
        f'"size":1234,"digest":"{"ab" * 32}","details":{{"parent_model":"","format":"gguf",'
        '"family":"llama","families":["llama"],"parameter_size":"1M","quantization_level":"F16",'
        '"context_length":256},"capabilities":["completion"]}'
    )
    assert second["details"]["families"] is None
    assert "capabilities" not in second
    assert second["modified_at"] == "1970-01-01T00:00:00Z"


async def test_times_have_the_local_offset(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    try:
        rest.engine.models = [MODEL]
        entry = (await rest.request("GET", "/api/tags")).json["models"][0]
        assert entry["modified_at"] == "2023-11-15T03:43:20.12+05:30"
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_ps(rest: Rest) -> None:
    assert (await rest.request("GET", "/api/ps")).body == b'{"models":[]}'
    details = model_pb2.ModelDetails(format="gguf", context_length=256, parent_model="base")
    soon = timestamp_pb2.Timestamp(seconds=1_700_000_000)
    rest.engine.loaded = [
        model_pb2.LoadedModel(name="a:b", details=details, size_bytes=5, num_ctx=128),
        model_pb2.LoadedModel(name="c:d", details=details, expires_at=soon),
    ]
    first, second = (await rest.request("GET", "/api/ps")).json["models"]
    assert list(first) == [
        "name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length",
    ]  # fmt: skip
    assert list(first["details"]) == [
        "parent_model", "format", "family", "families", "parameter_size", "quantization_level",
    ]  # fmt: skip
    assert first["details"]["parent_model"] == ""
    assert first["context_length"] == 128
    # Never: centuries ahead.
    assert int(first["expires_at"][:4]) > datetime.now().year + 100
    assert re.match(r"2023-11-1\dT", second["expires_at"])


async def test_copy(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/copy", {"source": "a", "destination": "b"})
    assert (reply.status, reply.body) == (200, b"")
    request = rest.engine.last(model_service_pb2.CopyModelRequest)
    assert (request.source, request.destination) == ("a", "b")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "destination", "reason", "blamed", "status", "text"),
    [
        ("a", "b", "MODEL_NOT_FOUND", "a", 404, 'model "a" not found'),
        ("!", "b", "INVALID_MODEL_NAME", "!", 400, 'source "!" is invalid'),
        ("a", '"', "INVALID_MODEL_NAME", '"', 400, r'destination "\"" is invalid'),
        ("!", "!", "INVALID_MODEL_NAME", "!", 400, 'source "!" is invalid'),
        ("", "b", "MODEL_REQUIRED", "", 400, 'source "" is invalid'),
        ("a", "", "MODEL_REQUIRED", "", 400, 'destination "" is invalid'),
    ],
)
async def test_copy_refusals(
    rest: Rest, source: str, destination: str, reason: str, blamed: str, status: int, text: str
) -> None:
    rest.engine.failures["CopyModel"] = Failed(reason, code=INVALID, model=blamed)
    reply = await rest.request("POST", "/api/copy", {"source": source, "destination": destination})
    assert (reply.status, reply.error) == (status, text)


@pytest.mark.parametrize("key", ["model", "name"])
async def test_delete(rest: Rest, key: str) -> None:
    reply = await rest.request("DELETE", "/api/delete", {key: "a"})
    assert (reply.status, reply.body) == (200, b"")
    request = rest.engine.last(model_service_pb2.DeleteModelRequest)
    assert request.model == "a"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reason", "status", "text"),
    [
        ("MODEL_NOT_FOUND", 404, "model 'a b' not found"),
        ("INVALID_MODEL_NAME", 400, 'name "a b" is invalid'),
        ("MODEL_REQUIRED", 400, "model is required"),
        ("READ_ONLY", 403, "it went wrong"),
        ("STORE_FAILED", 500, "it went wrong"),
    ],
)
async def test_delete_refusals(rest: Rest, reason: str, status: int, text: str) -> None:
    rest.engine.failures["DeleteModel"] = Failed(reason, code=INVALID, model="a b")
    reply = await rest.request("DELETE", "/api/delete", {"model": "a b"})
    assert (reply.status, reply.error) == (status, text)


def progress(status: str, **fields: object) -> model_service_pb2.CreateModelResponse:
    return model_service_pb2.CreateModelResponse(status=status, **fields)  # type: ignore[arg-type]


async def test_create_streams_its_progress(rest: Rest) -> None:
    rest.engine.progress = [
        progress("parsing GGUF"),
        progress("quantizing", digest="00", total_bytes=10, completed_bytes=5),
    ]
    reply = await rest.request("POST", "/api/create", {"model": "a", "from": "b"})
    assert reply.type == "application/x-ndjson"
    assert reply.body == (
        b'{"status":"parsing GGUF"}\n'
        b'{"status":"quantizing","digest":"00","total":10,"completed":5}\n'
        b'{"status":"success"}\n'
    )
    rest.engine.progress = [progress("success")]
    reply = await rest.request("POST", "/api/create", {"model": "a", "from": "b"})
    assert reply.body == b'{"status":"success"}\n'


async def test_create_without_streaming(rest: Rest) -> None:
    rest.engine.progress = [progress("parsing GGUF")]
    body = {"model": "a", "from": "b", "stream": False}
    reply = await rest.request("POST", "/api/create", body)
    assert (reply.type, reply.body) == ("application/json", b'{"status":"success"}')


async def test_create_passes_every_field_on(rest: Rest) -> None:
    body = {
        "name": "a", "from": " b:local", "files": {"x.gguf": DIGEST}, "adapters": {"y": DIGEST},
        "template": "t", "system": "s", "license": ["l1", "l2"], "quantization": "q4_0",
        "parameters": {"stop": ["x"], "num_ctx": 5, "odd": None},
        "messages": [{"role": "User", "content": "hi"}], "renderer": "r", "parser": "p",
        "requires": "0.1", "info": {"capabilities": ["tools"]},
    }  # fmt: skip
    await rest.request("POST", "/api/create", body)
    request = rest.engine.last(model_service_pb2.CreateModelRequest)
    assert isinstance(request, model_service_pb2.CreateModelRequest)
    assert (request.model, getattr(request, "from"), request.quantize) == ("a", "b", "q4_0")
    assert dict(request.files) == {"x.gguf": DIGEST}
    assert list(request.licenses) == ["l1", "l2"]
    assert dict(request.parameters.items())["num_ctx"] == 5
    assert request.messages[0] == model_pb2.StoredMessage(role="user", content="hi")
    assert list(request.info["capabilities"]) == ["tools"]
    await rest.request("POST", "/api/create", {"model": "a", "license": "one"})
    assert list(rest.engine.last(model_service_pb2.CreateModelRequest).licenses) == ["one"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "a", "files": {"/x": DIGEST}}, 400, "file path must be relative"),
        ({"model": "a", "files": {"x/../y": DIGEST}}, 400, "file path must be relative"),
        ({"model": "a", "files": {"x/": DIGEST}}, 400, "file path must be relative"),
        ({"files": {"x": ""}}, 400, "invalid digest format"),
        ({"model": "a", "adapters": {"x": ""}}, 400, "invalid digest format"),
        ({"model": "a", "draft_files": {"/x": DIGEST}}, 400, "file path must be relative"),
        ({"model": "a", "draft_quantize": "q4_0"}, 400, "--draft-quantize requires a DRAFT model"),
        ({"model": "a", "draft_files": {"x": DIGEST}}, 400, f"draft_files {NOT_YET}"),
        ({"model": "a", "from": "b", "remote_host": "h"}, 400, f"remote_host {NOT_YET}"),
        ({}, 400, "invalid model name"),
        ({"model": "a", "files": {}}, 400, "unknown type"),
    ],
)
async def test_create_checks_before_it_begins(
    rest: Rest, body: dict[str, object], status: int, text: str
) -> None:
    reply = await rest.request("POST", "/api/create", body)
    assert (reply.status, reply.error) == (status, text)
    assert not rest.engine.requests


@pytest.mark.parametrize("stream", [True, False])
async def test_create_failures(rest: Rest, stream: bool) -> None:
    body = {"model": "a", "stream": stream}
    rest.engine.progress = [Failed("CREATE_REFUSED", "unknown type", INVALID)]
    reply = await rest.request("POST", "/api/create", body)
    assert (reply.status, reply.error, reply.type) == (400, "unknown type", "application/json")
    rest.engine.progress = [progress("parsing GGUF"), Failed("INVALID_DIGEST", code=INVALID)]
    reply = await rest.request("POST", "/api/create", body)
    if stream:
        assert reply.status == 200
        assert reply.lines[1:] == [{"error": "invalid digest format"}]
    else:
        assert (reply.status, reply.error) == (500, "invalid digest format")


async def test_head_of_a_blob(rest: Rest) -> None:
    rest.engine.blobs = {DIGEST}
    assert (await rest.request("HEAD", f"/api/blobs/{DIGEST}")).status == 200
    assert (await rest.request("HEAD", "/api/blobs/sha256:1")).status == 404
    rest.engine.failures["HasBlob"] = Failed("INVALID_DIGEST", code=INVALID)
    reply = await rest.request("HEAD", "/api/blobs/x")
    assert (reply.status, reply.body) == (400, b"")
    reply = await rest.request("POST", "/api/blobs/x", b"data")
    assert (reply.status, reply.error) == (400, "invalid digest format")


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (5 << 20) + 3])
async def test_an_upload_arrives_in_parts(rest: Rest, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    reply = await rest.request("POST", f"/api/blobs/{DIGEST}", data)
    assert (reply.status, reply.body) == (201, b"")
    parts = [
        one for one in rest.engine.requests if isinstance(one, model_service_pb2.PutBlobRequest)
    ]
    assert [part.digest for part in parts] == [DIGEST] + [""] * (len(parts) - 1)
    assert all(len(part.data) == 1 << 20 for part in parts[:-1])
    assert hashlib.sha256(b"".join(part.data for part in parts)).digest() == (
        hashlib.sha256(data).digest()
    )


async def test_an_upload_that_is_there_is_not_read(rest: Rest) -> None:
    rest.engine.blobs = {DIGEST}
    reader, _ = await rest.send_raw(UPLOAD_HEAD + b"x" * (1 << 20))
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200")


async def test_another_content_is_refused(rest: Rest) -> None:
    rest.engine.failures["PutBlob"] = Failed(
        "DIGEST_MISMATCH", code=INVALID, expected=DIGEST, actual="sha256:1"
    )
    reply = await rest.request("POST", f"/api/blobs/{DIGEST}", b"x")
    assert reply.status == 400
    assert reply.error == f'digest mismatch, expected "{DIGEST}", got "sha256:1"'


async def test_a_hang_up_cancels_an_upload(rest: Rest) -> None:
    _, writer = await rest.send_raw(UPLOAD_HEAD + b"x" * (1 << 20))
    while not rest.engine.put_bytes:
        rest.engine.is_asked.clear()
        await asyncio.wait_for(rest.engine.is_asked.wait(), 10)
    writer.transport.abort()
    # Over a channel a servicer sees the end of the requests before its cancellation; the digest
    # tells it that the file is torn.
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)
    assert rest.engine.put_bytes == 1 << 20
