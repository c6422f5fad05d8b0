"""run with a prompt: what is asked, what is printed, what ends it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import grpc
import pytest

from cli.conftest import Cli, interrupt_after
from cli.fake_server import NOT_FOUND, FakeServer, finished, model, pieces, started, status
from llamawire.cli.__main__ import main
from llamawire.cli.durations import duration_text, parse_duration_ns
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal
from llamawire.cli.word_wrap import WordWrap
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb
from llamawire.v1.embedding_service_pb2 import EmbedRequest
from llamawire.v1.generation_pb2 import Format, GenerateRequest, JsonObject, Think


def test_the_answer_is_all_that_is_printed(cli: Cli, server: FakeServer) -> None:
    result = cli("run", "tiny", "Why is", "the sky blue?")
    assert (result.code, result.out, result.err) == (0, "Hello!\n\n", "")
    assert server.names() == ["GetModel", "Generate"]
    assert server.requests[-1] == GenerateRequest(
        model="tiny", prompt="Why is the sky blue?", options={}, return_context=True
    )


def test_piped_text_comes_first(cli: Cli, server: FakeServer) -> None:
    cli("run", "tiny", "b", "c", stdin="a\n")
    assert server.requests[-1].prompt == "a\n b c"
    cli("run", "tiny", stdin="a\n")
    assert server.requests[-1].prompt == "a\n"


def test_an_empty_prompt_loads_the_model(cli: Cli, server: FakeServer) -> None:
    assert cli("run", "tiny", "", "--keepalive", "1m30s").out == ""
    request = server.last(pb.LoadRequest)
    assert (request.model, request.keep_alive.seconds) == ("tiny", 90)


def test_flags_reach_the_request(cli: Cli, server: FakeServer) -> None:
    cli("run", "tiny", "hi", "--format", "json", "--think=high", "--keepalive=-1s")
    request = server.requests[-1]
    assert request.format == Format(json=JsonObject())
    assert request.think == Think(enabled=True, level="high")
    assert request.keep_alive.seconds == -1
    cli("run", "tiny", "hi", "--format", '{"type":"object"}', "--think=false")
    assert server.requests[-1].format.json_schema == '{"type":"object"}'
    assert server.requests[-1].think == Think(enabled=False)


def test_verbose_prints_what_is_not_zero(cli: Cli, server: FakeServer) -> None:
    counts = finished(
        total_ns=1_234_000_000, load_ns=12_300_000, prompt_count=26, prompt_ns=130_000_000,
        generated_count=259, generate_ns=4_200_000_000,
    )  # fmt: skip
    server.answer = [started(), pieces("x"), counts]
    assert cli("run", "tiny", "hi", "--verbose").err == (
        "total duration:       1.234s\n"
        "load duration:        12.3ms\n"
        "prompt eval count:    26 token(s)\n"
        "prompt eval duration: 130ms\n"
        "prompt eval rate:     200.00 tokens/s\n"
        "eval count:           259 token(s)\n"
        "eval duration:        4.2s\n"
        "eval rate:            61.67 tokens/s\n"
    )


def test_a_prompt_that_was_cut_is_told(cli: Cli, server: FakeServer) -> None:
    server.answer = [started(), pieces("x"), finished(prompt_dropped_count=7)]
    result = cli("run", "tiny", "hi")
    assert result.out == "x\n\n"
    assert result.err == "Warning: 7 token(s) of the prompt did not fit and were left out\n"


def test_a_model_that_is_not_there_is_pulled(cli: Cli, server: FakeServer) -> None:
    server.progress = [pb.PullModelResponse(status="success")]
    server.on_pull = lambda: server.models.append(model("new:latest"))
    result = cli("run", "new", "hi", "--insecure")
    assert (result.out, result.err) == ("Hello!\n\n", "success\n")
    assert server.names() == ["GetModel", "PullModel", "GetModel", "Generate"]
    assert server.last(pb.PullModelRequest).insecure


def test_a_pull_that_finds_nothing_is_the_end(cli: Cli, server: FakeServer) -> None:
    server.failures["PullModel"] = NOT_FOUND
    result = cli("run", "nope", "hi")
    assert (result.code, result.err) == (1, "Error: model 'nope:latest' not found\n")


def test_a_failure_is_told(cli: Cli, server: FakeServer) -> None:
    server.failures["Generate"] = status(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "too many requests wait"
    )
    result = cli("run", "tiny", "hi")
    assert (result.code, result.err) == (1, "Error: too many requests wait\n")


def test_a_failure_in_the_middle_stands_on_its_own_line(cli: Cli, server: FakeServer) -> None:
    server.failures["mid-stream"] = status(grpc.StatusCode.INTERNAL, "WORKER_CRASHED", "it crashed")
    result = cli("run", "tiny", "hi")
    assert (result.code, result.out, result.err) == (1, "Hello!\n", "Error: it crashed\n")


def test_an_embedding_model_prints_a_vector(cli: Cli, server: FakeServer) -> None:
    server.models = [model("bert:latest", capabilities=[model_pb2.CAPABILITY_EMBEDDING])]
    assert json.loads(cli("run", "bert", "some text", "--truncate").out) == [0.5, -0.25]
    request = server.last(EmbedRequest)
    assert (request.inputs[0].text, request.truncate) == ("some text", True)
    assert cli("run", "bert").err.startswith("Error: embedding models require input text.")


def test_ctrl_c_ends_the_work_on_the_server(server: FakeServer) -> None:
    server.may_finish.clear()
    out = io.StringIO()
    pressing = interrupt_after(out, "Hello!")
    code = main(["run", "tiny", "hi"], Terminal(io.StringIO(), out, io.StringIO()))
    pressing.join()
    assert (code, out.getvalue()) == (130, "Hello!")
    assert server.was_cancelled.wait(10)


@pytest.mark.parametrize(
    ("text", "wrapped"),
    [
        ("one two three", "one two th\x1b[2D\x1b[K\nthree"),
        ("one\ntwo three", "one\ntwo three"),
        ("abcdefghijklmn", "abcdefghij\nklmn"),
        ("12345678 9 a", "12345678 9\na"),
    ],
)
def test_words_move_to_the_next_line_whole(text: str, wrapped: str) -> None:
    wrap = WordWrap(10)
    assert "".join(map(wrap.feed, text)) == WordWrap(10).feed(text) == wrapped


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (12_300_000, "12.3ms"), (1_234_000_000, "1.234s"),
        (90_500_000_000, "1m30.5s"), (3_600_000_000_000, "1h0m0s"),
    ],
)  # fmt: skip
def test_durations_are_gos(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text
    if nanoseconds:
        assert parse_duration_ns(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "1x", "x", "5 m", "1d", "99999999999h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(CliError, match="invalid duration"):
        parse_duration_ns(text)


def test_pictures_go_with_the_prompt_of_a_model_that_sees(
    cli: Cli, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    cli("run", "tiny", "what is ./cat.png")
    assert (server.requests[-1].prompt, server.requests[-1].images) == ("what is ./cat.png", [])
    capabilities = [model_pb2.CAPABILITY_COMPLETION, model_pb2.CAPABILITY_VISION]
    server.models = [model(capabilities=capabilities)]
    result = cli("run", "tiny", "what is ./cat.png")
    assert result.err == "Added image './cat.png'\n"
    request = server.requests[-1]
    assert (request.prompt, list(request.images)) == ("what is", [b"\x89PNG\r\n\x1a\n"])
