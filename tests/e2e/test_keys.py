"""API keys, over every door of a real daemon."""

from __future__ import annotations

import http.client
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import openai
import psutil
import pytest

from e2e.daemon import Answer, Daemon
from llamawire.engine.access import Key, KeyFile, new_key
from llamawire.v1 import generation_pb2

ASKED = {"model": "tiny", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]}
START = {"model": "tiny", "prompt": "hi", "stream": False, "options": {"num_predict": 2}}


class Locked:
    """A daemon with a key file."""

    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.key = self.add("first")
        self.daemon = Daemon(folder, LLAMAWIRE_API_KEY_FILE=str(self.file.path))

    def add(self, name: str, *scopes: str, **fields: Any) -> str:
        text, key = new_key(name, scopes or ["generate"], **fields)
        self.file.add(key)
        return text

    def request(
        self, method: str, path: str, body: Any = None, key: str = "", **options: Any
    ) -> Answer:
        if key:
            options["Authorization"] = f"Bearer {key}"
        return self.daemon.request(method, path, body, **options)

    def generate(self, key: str = "") -> Answer:
        return self.request("POST", "/api/generate", START, key)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    locked = Locked(tmp_path_factory.mktemp("locked"))
    yield locked
    assert locked.daemon.stop() == 0


def test_keys_open_every_door(locked: Locked) -> None:
    for key in ("", "lw_wrong"):
        refused = locked.generate(key)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert locked.generate(locked.key).status == 200
    assert locked.daemon.request("GET", "/readyz").status == 200
    assert locked.request("GET", "/api/tags", key=locked.key).status == 200
    assert locked.request("DELETE", "/api/delete", {"model": "tiny"}, locked.key).status == 403

    request = generation_pb2.GenerateRequest(model="tiny", prompt="hi")
    request.options.num_predict = 2
    with locked.daemon.generation() as stub:
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Generate(request))
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        metadata = (("authorization", f"Bearer {locked.key}"),)
        assert list(stub.Generate(request, metadata=metadata))[-1].HasField("finished")

    base_url = f"{locked.daemon.url}/v1"
    with openai.OpenAI(base_url=base_url, api_key=locked.key, max_retries=0) as client:
        assert "tiny:latest" in [model.id for model in client.models.list()]
    with (
        openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()

    # Anthropic's client says its key in another header.
    for key in (locked.key, "none"):
        refused = locked.daemon.request("POST", "/v1/messages", ASKED, **{"x-api-key": key})
        assert refused.status == (200 if key == locked.key else 401), refused.body
    assert refused.json["error"]["type"] == "authentication_error"


def test_a_strangers_message_is_not_received(locked: Locked) -> None:
    """Three of 48 MiB each leave no trace in the daemon's memory."""
    process = psutil.Process(locked.daemon.process.pid)
    request = generation_pb2.GenerateRequest(model="tiny", prompt="x" * (48 << 20))
    before = process.memory_info().rss
    with locked.daemon.generation() as stub:
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                list(stub.Generate(request))
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
    assert process.memory_info().rss - before < 24 << 20


def test_keys_change_without_dropping_a_stream(locked: Locked) -> None:
    brief = locked.add("brief")
    request = generation_pb2.GenerateRequest(model="tiny", prompt="Tell me a story.")
    request.options.num_predict = 30
    with locked.daemon.generation() as stub:
        call = stub.Generate(request, metadata=(("authorization", f"Bearer {brief}"),))
        next(call)
        locked.file.revoke("brief")
        assert locked.generate(brief).status == 401
        assert list(call)[-1].HasField("finished")


def test_quotas_and_lists_hold_over_both_doors(locked: Locked) -> None:
    guest = locked.add("guest", models=["other"], requests_per_minute=100)
    refused = locked.generate(guest)
    assert refused.status == 403
    assert "'tiny'" in refused.json["error"]
    assert locked.request("GET", "/api/tags", key=guest).json == {"models": []}
    busy = locked.add("busy", requests_per_minute=1)
    assert locked.generate(busy).status == 200
    with locked.daemon.generation() as stub:
        call = stub.Generate(
            generation_pb2.GenerateRequest(model="tiny", prompt="hi"),
            metadata=(("authorization", f"Bearer {busy}"),),
        )
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    refused = locked.generate(busy)
    assert refused.status == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    frugal = locked.add("frugal", tokens_per_day=1)
    assert locked.generate(frugal).status == 200
    assert locked.generate(frugal).status == 429


def test_the_adapter_apart_hands_keys_on(locked: Locked) -> None:
    with locked.daemon.adapter() as port:
        url = f"http://127.0.0.1:{port}"
        assert locked.daemon.request("GET", "/readyz", url=url).status == 200
        assert locked.request("GET", "/api/tags", url=url).status == 401
        assert locked.request("GET", "/api/tags", key=locked.key, url=url).status == 200


def test_a_key_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "llamawire.engine"],
        env={"LLAMAWIRE_API_KEY_FILE": str(tmp_path / "none"), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 1
    assert "key file" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "target",
    ["/api/tags", "//api/tags", "/api/../api/tags", "/%61pi/tags", "/healthz/../api/tags",
     "/api/tags?x=/healthz", "/healthz%2f..%2fapi/tags", "http://127.0.0.1/api/tags",
     "/v1/models", "/v1/models/tiny", "/api/version"],
)  # fmt: skip
def test_cve_2026_48746_no_spelling_of_a_path_does_without_a_key(
    locked: Locked, target: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", locked.daemon.rest_port, timeout=30)
    for headers in ({}, {"X-Forwarded-Prefix": "/healthz", "X-Original-URL": "/healthz"}):
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (301, 307, 401, 404)
        assert b"tiny:latest" not in body
    connection.close()


def test_cve_2025_59425_a_key_is_compared_in_constant_time() -> None:
    """Not by a clock, which a test cannot trust: by the one place where it is done."""
    source = inspect.getsource(Key.is_for)
    assert "hmac.compare_digest" in source
    assert "==" not in source
