from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.fake_server import FakeServer
from llamawire.cli.__main__ import main


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


class Cli:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(list(arguments))
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)


def interrupt_after(stream: io.StringIO, text: str) -> threading.Thread:
    """Presses Ctrl-C once `text` has been printed."""

    def press() -> None:
        deadline = time.monotonic() + 20
        while text not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A fake server that the commands find by the environment."""
    fake = FakeServer()
    running, address = fake.start()
    monkeypatch.setenv("LLAMAWIRE_GRPC", address)
    yield fake
    fake.may_finish.set()
    running.stop(None).wait()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Cli(capsys, monkeypatch)
