"""Names on every route, and names in another case: the whole way, through the daemon."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.daemon import Answer, Daemon

BAD_NAMES = ("m:", "/m", "a/b/c/d", "my.ns/m", "m@sha256-abc", 'q"\\x')

# What each route says of a name; {} stands for the name as Go quotes it.
EMPTY = {
    "create": (400, "invalid model name"),
    "show": (400, "model is required"),
    "delete": (400, "model is required"),
    "pull": (400, "invalid model name"),
    "push": (400, "model is required"),
    "generate": (404, "model '' not found"),
    "chat": (400, "model is required"),
    "embeddings": (400, "model is required"),
    "embed": (404, "model '' not found"),
}
INVALID = dict.fromkeys(EMPTY, (400, "invalid model name")) | {
    "delete": (400, "name {} is invalid")
}
REST_OF_BODY: dict[str, dict[str, object]] = {
    "create": {"from": "tiny"}, "chat": {"messages": []}, "embed": {"input": "x"},
}  # fmt: skip


def ask(daemon: Daemon, route: str, name: str) -> Answer:
    method = "DELETE" if route == "delete" else "POST"
    return daemon.request(method, f"/api/{route}", {"model": name} | REST_OF_BODY.get(route, {}))


def test_an_empty_name_is_told_as_upstream_does(daemon: Daemon) -> None:
    for route, expected in EMPTY.items():
        answer = ask(daemon, route, "")
        assert (route, answer.status, answer.json["error"]) == (route, *expected)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_an_invalid_name_is_told_as_upstream_does(daemon: Daemon, name: str) -> None:
    quoted = json.dumps(name)
    for route, (status, text) in INVALID.items():
        answer = ask(daemon, route, name)
        if route == "push":
            assert [*answer.lines[0].values(), *answer.lines[1].values(), answer.lines[2]] == [
                "retrieving manifest", "couldn't retrieve manifest",
                {"error": f"unqualified name: {name}"},
            ]  # fmt: skip
        else:
            assert (answer.status, answer.json["error"]) == (status, text.replace("{}", quoted))
    copy = daemon.post("/api/copy", {"source": name, "destination": name})
    assert (copy.status, copy.json["error"]) == (400, f"source {quoted} is invalid")
    copy = daemon.post("/api/copy", {"source": "tiny", "destination": name})
    assert (copy.status, copy.json["error"]) == (400, f"destination {quoted} is invalid")


@contextlib.contextmanager
def copied(daemon: Daemon, source: str, destination: str) -> Iterator[None]:
    body = {"source": source, "destination": destination}
    assert daemon.post("/api/copy", body).status == 200
    try:
        yield
    finally:
        daemon.request("DELETE", "/api/delete", {"model": destination})


def names(daemon: Daemon) -> list[str]:
    return [model["name"] for model in daemon.request("GET", "/api/tags").json["models"]]


def test_case_is_kept_and_does_not_matter(daemon: Daemon) -> None:
    with copied(daemon, "TINY", "host:5000/Some/Thing:Tag"):
        assert "host:5000/Some/Thing:Tag" in names(daemon)
        path = daemon.log.parent / "models/manifests/host:5000/Some/Thing/Tag"
        assert path.is_file()
        # A new name takes the spelling of each part that is there already.
        with copied(daemon, "HOST:5000/some/THING:tag", "HOST:5000/SOME/other:TAG"):
            assert "host:5000/Some/other:Tag" in names(daemon)
        shown = daemon.post("/api/show", {"model": "Host:5000/some/thing:TAG"})
        assert "# FROM host:5000/Some/Thing:Tag\n" in shown.json["modelfile"]
        again = {"model": "host:5000/SOME/thing:TAG", "from": "tiny", "stream": False}
        assert daemon.post("/api/create", again).json == {"status": "success"}
        assert [name for name in names(daemon) if "hing" in name] == ["host:5000/Some/Thing:Tag"]
        gone = daemon.request("DELETE", "/api/delete", {"model": "HOST:5000/SOME/THING:TAG"})
        assert gone.status == 200
        assert not path.parent.parent.exists()


def test_a_name_is_for_here_or_for_elsewhere(daemon: Daemon) -> None:
    both = 'use either :local or :cloud, not both: "a:cloud:local"'
    for route in ("show", "pull", "generate", "chat", "embed", "embeddings"):
        answer = ask(daemon, route, "a:cloud:local")
        assert (route, answer.status, answer.json["error"]) == (route, 400, both)


def test_a_start_takes_old_orphans_unless_told_not_to(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    blobs = tmp_path / "models" / "blobs"
    blobs.mkdir(parents=True)
    ages_s = {
        "sha256-" + "0" * 64: 7200,
        f"sha256-{'1' * 64}-partial": 7200,
        "sha256-" + "2" * 64: 60,
    }
    for name, age_s in ages_s.items():
        (blobs / name).write_bytes(b"x")
        os.utime(blobs / name, (time.time() - age_s,) * 2)
    (blobs / "llamawire-temp-left").write_bytes(b"x")
    models = {"LLAMAWIRE_MODELS": str(tmp_path / "models")}
    start_daemon(OLLAMA_NOPRUNE="1", **models).stop()
    assert {path.name for path in blobs.iterdir()} == set(ages_s)
    start_daemon(**models)
    assert [path.name for path in blobs.iterdir()] == ["sha256-" + "2" * 64]
