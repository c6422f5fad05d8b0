"""`make microbench`: what each layer costs, by pytest-benchmark. Numbers, no asserts about time."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.daemon import Daemon
from gguf_files import tiny_llama
from llamawire import native
from llamawire.engine.prompt import GoPrompt, Message
from llamawire.engine.prompt.output import FORMATS
from llamawire.rest.generate_form import GenerateForm
from llamawire.rest.times import UtcStamp
from llamawire.v1 import generation_pb2, server_service_pb2, server_service_pb2_grpc
from llamawire.v1.options_pb2 import Options

TOKENS = 500

CHATML = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    running = Daemon(tmp_path_factory.mktemp("bench"))
    running.add_endless_model()
    running.generate(model="endless", prompt="z", options={"num_predict": 1})
    yield running
    running.stop()


def test_render_a_conversation_of_50_messages(benchmark: Any) -> None:
    messages = [
        Message("user" if n % 2 == 0 else "assistant", "Hello there. " * 20) for n in range(50)
    ]
    benchmark(GoPrompt(CHATML).render, messages)


def test_parse_500_tokens_of_an_answer(benchmark: Any) -> None:
    def parse() -> None:
        parser = FORMATS["qwen3"].parser(think=True)
        for _ in range(TOKENS):
            parser.feed(" word")
        parser.finish()

    benchmark(parse)


def test_write_500_lines_of_ndjson(benchmark: Any) -> None:
    form = GenerateForm("tiny", UtcStamp(time.time_ns))
    piece = generation_pb2.Piece(text=" word", token_ids=[7])
    reply = generation_pb2.GenerateResponse(pieces=generation_pb2.Pieces(pieces=[piece]))
    benchmark(lambda: [form.lines(reply) for _ in range(TOKENS)])


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {}], ids=["greedy", "default"])
@pytest.mark.parametrize("streams", [1, 8])
def test_loop_500_tokens_a_stream(
    benchmark: Any, tmp_path: Path, sampling: dict[str, float], streams: int
) -> None:
    no_end = {"tokenizer.ggml.eos_token_id": 0}
    model = native.Model(tiny_llama(tmp_path / "m.gguf", metadata=no_end))
    loop = native.Loop(model, num_parallel=streams, num_ctx=1024)
    jobs = iter(range(1, 1_000_000))

    def run() -> None:
        for _ in range(streams):
            loop.submit(next(jobs), [1, 300], num_predict=TOKENS, **sampling)
        left = streams
        while left:
            left -= sum(event.kind == native.EVENT_FINISHED for event in loop.wait(1))

    benchmark(run)
    loop.close()


def test_a_unary_grpc_call(benchmark: Any, daemon: Daemon) -> None:
    with daemon.channel() as channel:
        stub = server_service_pb2_grpc.ServerServiceStub(channel)
        benchmark(stub.GetVersion, server_service_pb2.GetVersionRequest())


def test_generate_500_tokens_over_grpc(benchmark: Any, daemon: Daemon) -> None:
    request = generation_pb2.GenerateRequest(
        model="endless", prompt="z", raw=True, options=Options(num_predict=TOKENS, num_ctx=1024)
    )
    with grpc.insecure_channel(f"127.0.0.1:{daemon.grpc_port}"), daemon.generation() as stub:
        benchmark(lambda: list(stub.Generate(request)))


def test_generate_500_tokens_over_rest(benchmark: Any, daemon: Daemon) -> None:
    body = json.dumps(
        {"model": "endless", "prompt": "z", "raw": True,
         "options": {"num_predict": TOKENS, "num_ctx": 1024}}
    )  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port)

    def run() -> bytes:
        connection.request("POST", "/api/generate", body)
        return connection.getresponse().read()

    benchmark(run)
    connection.close()
