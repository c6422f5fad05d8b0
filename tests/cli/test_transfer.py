"""pull and push, and how progress is shown."""

from __future__ import annotations

import io
import signal

import grpc

from cli.conftest import Cli, interrupt_after
from cli.fake_server import FakeServer, status
from llamawire.cli.__main__ import main
from llamawire.cli.progress import show_progress
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_service_pb2 as pb

STEPS = [
    ("pulling manifest", "", 0, 0),
    ("pulling 8eeb52dfb3bb", "sha256:8e", 4_661_224_676, 0),
    ("pulling 8eeb52dfb3bb", "sha256:8e", 4_661_224_676, 2_000_000_000),
    ("pulling 73b313b5552d", "sha256:73", 1_400, 1_400),
    ("pulling 8eeb52dfb3bb", "sha256:8e", 4_661_224_676, 4_661_224_676),
    ("verifying sha256 digest", "", 0, 0),
    ("success", "", 0, 0),
]


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


def pulled() -> list[pb.PullModelResponse]:
    return [
        pb.PullModelResponse(status=status, digest=digest, total_bytes=total, completed_bytes=done)
        for status, digest, total, done in STEPS
    ]


def test_without_a_terminal_each_step_is_a_line(cli: Cli, server: FakeServer) -> None:
    server.progress = pulled()
    result = cli("pull", "llama3", "--insecure")
    assert server.requests == [pb.PullModelRequest(model="llama3", insecure=True)]
    assert result.out == ""
    assert result.err == (
        "pulling manifest\n"
        "pulling 8eeb52dfb3bb (4.6 GB)\n"
        "pulling 73b313b5552d (1.4 KB)\n"
        "verifying sha256 digest\n"
        "success\n"
    )


def test_ctrl_c_ends_a_pull(server: FakeServer) -> None:
    server.progress = pulled()[:2]
    server.on_pull = lambda: server.was_cancelled.wait(20)
    err = io.StringIO()
    pressing = interrupt_after(err, "pulling 8eeb52dfb3bb")
    code = main(["pull", "llama3"], Terminal(io.StringIO(), io.StringIO(), err))
    pressing.join()
    assert (code, err.getvalue()) == (130, "pulling manifest\npulling 8eeb52dfb3bb (4.6 GB)\n")
    assert server.was_cancelled.wait(10)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_on_a_terminal_files_have_bars_and_all_is_in_order() -> None:
    tty = FakeTty()
    with show_progress(tty) as progress:
        for step in STEPS:
            progress.update(*step)
    text = tty.getvalue()
    assert "100%" in text
    assert "\x1b[" in text
    last = [text.rindex(status) for status in ("pulling manifest", "8eeb52dfb3bb", "verifying")]
    assert last == sorted(last)
    assert text.rstrip().endswith("success")
    assert "\x1b[?25h" in text  # the cursor is back


def test_a_failure_on_the_way_comes_after_the_steps(cli: Cli, server: FakeServer) -> None:
    code = grpc.StatusCode.INTERNAL
    message = "pull model manifest: file does not exist"
    server.failures["PullModel"] = status(code, "X", message)
    result = cli("pull", "nope")
    assert (result.code, result.err) == (1, f"Error: {message}\n")


def test_push_tells_where_the_model_is(cli: Cli, server: FakeServer) -> None:
    server.progress = [pb.PushModelResponse(status="success")]
    result = cli("push", "me/mine")
    assert result.out == "\nYou can find your model at:\n\n\thttps://ollama.com/me/mine\n"
    assert cli("push", "host:5000/me/mine").out.endswith("\thost:5000/me/mine:latest\n")


def test_push_to_somebody_elses_place(cli: Cli, server: FakeServer) -> None:
    server.failures["PushModel"] = status(
        grpc.StatusCode.PERMISSION_DENIED, "X", "push access denied"
    )
    assert cli("push", "me/mine").err.startswith("Error: you are not authorized to push to this")
