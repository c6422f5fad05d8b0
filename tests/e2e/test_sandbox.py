"""From inside a worker of a real daemon, with a model in memory."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from e2e.daemon import Daemon
from e2e.test_lifecycle import settle
from llamawire.v1 import generation_pb2
from llamawire.worker import landlock, seccomp

# Runs when Python starts, in the daemon and in its workers; only the latter are asked.
CUSTOM = """
import os, signal, socket, sys

def attempt(name, action):
    try:
        action()
    except OSError as error:
        return f"{name}={type(error).__name__}"
    return f"{name}=done"

def report(*_):
    outside = os.environ["OUTSIDE"]
    results = [
        attempt("connect", lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        attempt("unix", lambda: socket.socket(socket.AF_UNIX).connect(outside + "/there")),
        attempt("write", lambda: open(outside + "/written", "w")),
        attempt("append", lambda: open(outside + "/there", "a")),
        attempt("signal", lambda: os.kill(os.getppid(), 0)),
        attempt("read", lambda: open(outside + "/there").close()),
    ]
    print("ATTEMPTS", *results, file=sys.stderr, flush=True)

if "llamawire.worker" in " ".join(sys.orig_argv):
    signal.signal(signal.SIGUSR1, report)
"""

needs_all = pytest.mark.skipif(
    landlock.version() < 6 or not (seccomp.machine() and seccomp.is_available()),
    reason="this kernel has no whole sandbox",
)


@needs_all
def test_a_worker_with_a_model_reaches_nothing(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text(CUSTOM)
    (tmp_path / "there").touch()
    daemon = start_daemon(
        PYTHONPATH=str(custom), OUTSIDE=str(tmp_path), LLAMAWIRE_SANDBOX="require",
        MY_API_TOKEN="hidden",
    )  # fmt: skip
    before = daemon.generate(prompt="hi", options={"num_predict": 4, "seed": 1}).json["response"]
    (worker,) = daemon.busy_workers()
    worker.send_signal(signal.SIGUSR1)
    assert settle(lambda: "ATTEMPTS" in daemon.log.read_text())
    found = re.search("ATTEMPTS (.*)", daemon.log.read_text())
    assert found
    assert found[1].split() == [
        "connect=PermissionError", "unix=FileNotFoundError", "write=PermissionError",
        "append=PermissionError", "signal=PermissionError", "read=done",
    ]  # fmt: skip
    assert not (tmp_path / "written").exists()
    after = daemon.generate(prompt="hi", options={"num_predict": 4, "seed": 1}).json["response"]
    assert after == before
    assert daemon.busy_workers() == [worker]
    names = worker.environ()
    assert "MY_API_TOKEN" not in names
    assert not [name for name in names if name.startswith("LLAMAWIRE_")]


def test_a_worker_gets_no_more_memory_than_it_is_told(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_NUM_PARALLEL="64", LLAMAWIRE_WORKER_MEMORY_BYTES=str(350 << 20))
    request = generation_pb2.GenerateRequest(model="tiny", prompt="hi")
    with daemon.generation() as stub, pytest.raises(grpc.RpcError) as caught:
        list(stub.Generate(request))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert daemon.generate(prompt="hi", options={"num_ctx": 256, "num_predict": 1}).status == 200
