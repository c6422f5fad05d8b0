"""A model goes to a real registry and comes back, through the daemon."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.daemon import Daemon, settle
from engine.store.registry.docker_registry import (
    DockerRegistry,
    docker_registry,
    needs_docker_registry,
)
from llamawire.v1 import model_service_pb2 as pb

pytestmark = needs_docker_registry

Start = Callable[..., Daemon]

SKY = "Why is the sky blue?"
TINY = Path(__file__).parents[2] / "models" / "tiny" / "tiny.gguf"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path / "secure", has_tls=True, has_password=True) as server:
        yield server


def digest_of(daemon: Daemon, name: str) -> str:
    models = daemon.request("GET", "/api/tags").json["models"]
    return next(str(model["digest"]) for model in models if model["name"] == name)


def transfer(daemon: Daemon, route: str, name: str, **fields: Any) -> list[Any]:
    answer = daemon.post(f"/api/{route}", {"model": name, "insecure": True} | fields)
    assert answer.lines[-1] == {"status": "success"}, answer.body
    return answer.lines


def test_from_a_file_to_the_registry_and_back(
    start_daemon: Start, registry: DockerRegistry, tmp_path: Path
) -> None:
    daemon = start_daemon(LLAMAWIRE_NO_DEFAULT_MODEL="1")
    # A file of its own, that no box has: bytes behind the last tensor are nobody's.
    gguf = tmp_path / "mine.gguf"
    gguf.write_bytes(TINY.read_bytes() + bytes(32))
    name = f"{registry.host}/library/mine:latest"
    daemon.add_model(name, gguf, system="Be brief.", parameters={"seed": 1, "num_predict": 40})
    before = daemon.generate(model=name, prompt=SKY).json
    assert before["eval_count"] > 10
    digest, files = (
        digest_of(daemon, name),
        {path.name: path.read_bytes() for path in daemon.blobs()},
    )
    assert gguf.read_bytes() in files.values()
    pushed = transfer(daemon, "push", name)
    assert [line["status"] for line in (pushed[0], pushed[-2])] == [
        "retrieving manifest", "pushing manifest",
    ]  # fmt: skip
    # What is loaded would go on answering without its files.
    assert daemon.generate(model=name, keep_alive=0).json["done_reason"] == "unload"
    assert settle(lambda: daemon.request("GET", "/api/ps").json == {"models": []})
    assert daemon.request("DELETE", "/api/delete", {"model": name}).status == 200
    assert daemon.generate(model=name, prompt=SKY).status == 404
    assert not daemon.blobs()
    pulled = transfer(daemon, "pull", name)
    assert [line["status"] for line in (pulled[0], *pulled[-3:])] == [
        "pulling manifest", "verifying sha256 digest", "writing manifest", "success",
    ]  # fmt: skip
    assert digest_of(daemon, name) == digest
    assert {path.name: path.read_bytes() for path in daemon.blobs()} == files
    after = daemon.generate(model=name, prompt=SKY).json
    assert (after["response"], after["context"]) == (before["response"], before["context"])


def test_over_grpc_with_tls_and_a_password(start_daemon: Start, secure: DockerRegistry) -> None:
    daemon = start_daemon(SSL_CERT_FILE=str(secure.certificate))
    name = f"{secure.host}/library/tiny:latest"
    daemon.post("/api/copy", {"source": "tiny", "destination": name})
    credentials = pb.RegistryCredentials(username="tester", password="secret")
    with daemon.models() as models:
        push = pb.PushModelRequest(model=name, credentials=credentials)
        pushed = list(models.PushModel(push))
        assert (pushed[0].status, pushed[-1].status) == ("retrieving manifest", "success")
        daemon.request("DELETE", "/api/delete", {"model": name})
        pull = pb.PullModelRequest(model=name, credentials=credentials)
        pulled = list(models.PullModel(pull))
    assert (pulled[0].status, pulled[-1].status) == ("pulling manifest", "success")
    for replies in (pushed, pulled):
        last = {reply.digest: reply for reply in replies if reply.digest}
        assert {reply.total_bytes for reply in last.values()} > {TINY.stat().st_size}
        assert all(reply.completed_bytes == reply.total_bytes for reply in last.values())


def test_a_mirror_and_a_base_that_is_not_there(
    start_daemon: Start, registry: DockerRegistry
) -> None:
    daemon = start_daemon(LLAMAWIRE_REGISTRY_MIRROR=f"http://{registry.host}")
    name = f"{registry.host}/library/far:latest"
    daemon.post("/api/copy", {"source": "tiny", "destination": name})
    transfer(daemon, "push", name)
    answer = daemon.post("/api/create", {"model": "near", "from": "far", "system": "Be brief."})
    statuses = [line.get("status") for line in answer.lines]
    assert statuses[0] == "pulling manifest"
    assert statuses[-1] == "success"
    assert {"near:latest", "far:latest"} <= {
        model["name"] for model in daemon.request("GET", "/api/tags").json["models"]
    }


def test_a_base_that_is_nowhere(start_daemon: Start, registry: DockerRegistry) -> None:
    daemon = start_daemon()
    base = f"http://{registry.host}/library/nothing"
    answer = daemon.post("/api/create", {"model": "near", "from": base})
    assert answer.lines == [
        {"status": "pulling manifest"},
        {"error": "pull model manifest: file does not exist"},
    ]
    answer = daemon.post("/api/create", {"model": "near", "from": base, "stream": False})
    assert answer.status == 500


def hang_up_after_a_line(daemon: Daemon, name: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=30)
    body = json.dumps({"model": name, "insecure": True})
    connection.request("POST", "/api/pull", body)
    answer = connection.getresponse()
    while b'"completed"' not in answer.readline():
        pass
    connection.close()


def test_a_daemon_that_is_killed_goes_on_where_it_was(
    start_daemon: Start, registry: DockerRegistry, tmp_path: Path
) -> None:
    first = start_daemon()
    gguf = tmp_path / "large.gguf"
    # Bytes behind the last tensor are nobody's; they make it large enough to be interrupted.
    gguf.write_bytes(TINY.read_bytes() + random.Random(3).randbytes(150_000_000))
    name = f"{registry.host}/library/large:latest"
    first.add_model(name, gguf)
    transfer(first, "push", name)
    models = {"LLAMAWIRE_MODELS": str(tmp_path / "elsewhere")}
    second = start_daemon(**models, LLAMAWIRE_TRANSFER_PART_BYTES="16777216")
    hang_up_after_a_line(second, name)
    time.sleep(0.05)
    second.kill()
    third = start_daemon(**models)
    lines = [line for line in transfer(third, "pull", name) if "digest" in line]
    assert lines[0].get("completed", 0) > 0
    assert digest_of(third, name) == digest_of(first, name)
