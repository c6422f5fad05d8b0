"""What the three protocols say, cut anywhere."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.fake_server import FakeServer, finished, pieces, started
from llamawire.cli.bench.exchange import BenchError, Exchange, Request
from llamawire.cli.bench.grpc_api import GrpcClient, read_replies
from llamawire.cli.bench.http_record import timed_lines
from llamawire.cli.bench.ollama import read_ollama
from llamawire.cli.bench.openai import read_openai
from llamawire.cli.connection import Connection
from llamawire.v1 import generation_pb2, options_pb2

END = {
    "prompt_count": 7, "generated_count": 3, "total_ns": 2_000_000_000, "prompt_ns": 5_000_000,
    "generate_ns": 1_000_000_000,
}  # fmt: skip
ANSWER = [started(), pieces("Hel"), pieces("lo", "!"), finished(**END)]
REQUEST = Request("why", num_predict=3, seed=5)


def chunked(*lines: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in (*lines, b""))


def plain(*lines: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n" + b"".join(lines)


def cut(data: bytes, places: Sequence[int]) -> list[tuple[float, bytes]]:
    """A read a second."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    parts = [data[a:b] for a, b in itertools.pairwise(edges)]
    return [(float(second), part) for second, part in enumerate(parts)]


cuts = st.lists(st.integers(0, 10_000), max_size=12)
framings = st.sampled_from([chunked, plain])

OLLAMA = (
    b'{"response":"Hel","done":false}\n',
    b'{"response":"lo","done":false}\n',
    b'{"response":"","done":true,"total_duration":2000000000,"prompt_eval_count":7,'
    b'"prompt_eval_duration":5000000,"eval_count":3,"eval_duration":1000000000}\n',
)
OPENAI = (
    b'data: {"choices":[{"text":"Hel"}]}\n\n',
    b': a comment\n\ndata: {"choices":[{"text":"lo"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3},'
    b'"timings":{"prompt_ms":5.0,"predicted_ms":1000.0}}\n\n',
    b"data: [DONE]\n\n",
)


def check(exchange: Exchange) -> None:
    assert exchange.text.startswith("Hello")
    assert (exchange.prompt_count, exchange.generated_count) == (7, 3)
    assert exchange.server.prompt_s == pytest.approx(0.005)
    assert exchange.server.generate_s == pytest.approx(1.0)
    times = [message.at_s for message in exchange.messages]
    assert times == sorted(times)


@given(cuts, framings)
def test_an_ollama_answer_reads_the_same_wherever_it_is_cut(places: list[int], frame: Any) -> None:
    exchange = read_ollama(0.0, cut(frame(*OLLAMA), places))
    check(exchange)
    assert exchange.server.total_s == pytest.approx(2.0)


@given(cuts, framings)
def test_an_openai_answer_reads_the_same_wherever_it_is_cut(places: list[int], frame: Any) -> None:
    check(read_openai(0.0, cut(frame(*OPENAI), places)))


def test_a_line_has_the_time_of_its_last_byte() -> None:
    data = plain(b"one\ntwo\n")
    at = data.index(b"two") + 1
    assert timed_lines([(1.0, data[:at]), (2.0, data[at:])]) == [(1.0, b"one"), (2.0, b"two")]


@pytest.mark.parametrize(("read", "lines"), [(read_ollama, OLLAMA), (read_openai, OPENAI)])
def test_an_answer_without_its_end_is_an_error_unless_the_client_left(
    read: Any, lines: tuple[bytes, ...]
) -> None:
    chunks = [(1.0, plain(*lines[:2]) + lines[2][:9])]
    with pytest.raises(BenchError, match="no end"):
        read(0.0, chunks)
    left = read(0.0, chunks, left=True)
    assert (left.text, left.generated_count) == ("Hello", 0)


def test_what_a_server_says_instead_of_an_answer_is_the_error() -> None:
    refused = b'HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{"error":"no model x"}'
    with pytest.raises(BenchError, match=r"404.*no model x"):
        read_ollama(0.0, [(1.0, refused)])
    with pytest.raises(BenchError, match="it broke"):
        read_ollama(0.0, [(1.0, plain(OLLAMA[0], b'{"error":"it broke"}\n'))])
    with pytest.raises(BenchError, match="it broke"):
        read_openai(0.0, [(1.0, plain(OPENAI[0], b'data: {"error":{"message":"it broke"}}\n\n'))])
    with pytest.raises(BenchError, match="no HTTP answer"):
        read_ollama(0.0, [(1.0, b"SSH-2.0-OpenSSH\r\n\r\n")])


async def test_the_grpc_client_reads_the_service(server: FakeServer) -> None:
    server.answer = list(ANSWER)
    client = GrpcClient(Connection(os.environ["LLAMAWIRE_GRPC"]), "tiny")
    exchange = await (await client.begin(REQUEST)).result()
    await client.close()
    assert exchange.text == "Hello!"
    assert (exchange.prompt_count, exchange.generated_count) == (7, 3)
    assert exchange.server.total_s == 2.0
    asked = server.last(generation_pb2.GenerateRequest)
    assert asked.raw
    assert asked.options == options_pb2.Options(
        num_predict=3, seed=5, temperature=0.8, top_k=40, top_p=0.9, min_p=0, repeat_penalty=1
    )


async def test_a_client_that_hangs_up_is_gone_for_the_server(server: FakeServer) -> None:
    server.answer = list(ANSWER)
    server.may_finish.clear()
    client = GrpcClient(Connection(os.environ["LLAMAWIRE_GRPC"]), "tiny")
    call = await client.begin(REQUEST)
    await call.wait_messages(2)
    call.hang_up()
    exchange = await call.result()
    await client.close()
    assert exchange.text.startswith("Hel")
    assert exchange.generated_count == 0


def test_replies_without_an_end_are_an_error() -> None:
    with pytest.raises(BenchError, match="no end"):
        read_replies(0.0, [(1.0, started()), (2.0, pieces("x"))])
