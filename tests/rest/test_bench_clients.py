"""The clients of `llamawire bench` against the adapter over a fake engine."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llamawire.cli.bench.exchange import BenchError, Request
from llamawire.cli.bench.grpc_api import GrpcClient
from llamawire.cli.bench.ollama import OllamaClient
from llamawire.cli.bench.openai import OpenAiClient
from llamawire.cli.connection import Connection
from llamawire.v1 import generation_pb2, model_service_pb2
from rest.conftest import Start
from rest.fake_engine import Failed, FakeEngine, finished, pieces, started

ANSWER = [started(), pieces("Hel"), pieces("lo", "!"), finished(prompt_count=7, generated_count=3)]
REQUEST = Request("why", num_predict=3, seed=5)


@pytest.mark.parametrize("protocol", [OllamaClient, OpenAiClient])
async def test_the_http_clients_read_the_adapter(start: Start, protocol: Any) -> None:
    rest = await start(FakeEngine(answer=list(ANSWER)))
    client = protocol(f"http://127.0.0.1:{rest.port}", "tiny")
    call = await client.begin(REQUEST)
    await call.wait_messages(1)
    exchange = await call.result()
    assert exchange.text == "Hello!"
    assert (exchange.prompt_count, exchange.generated_count) == (7, 3)
    assert 0 < exchange.first_token_s <= exchange.duration_s
    asked: Any = rest.engine.last(generation_pb2.GenerateRequest)
    assert (asked.prompt, asked.options.num_predict, asked.options.seed) == ("why", 3, 5)


@pytest.mark.parametrize("protocol", [OllamaClient, OpenAiClient])
async def test_an_http_client_that_hangs_up_is_gone_for_the_engine(
    start: Start, protocol: Any
) -> None:
    rest = await start(FakeEngine(answer=[*ANSWER[:2], asyncio.Event()]))
    call = await protocol(f"http://127.0.0.1:{rest.port}", "tiny").begin(REQUEST)
    await call.wait_messages(1)
    call.hang_up()
    exchange = await call.result()
    assert (exchange.text, exchange.generated_count) == ("Hel", 0)
    await rest.engine.has_ended.wait()


@pytest.mark.parametrize("protocol", [OllamaClient, OpenAiClient])
async def test_the_engines_failure_is_told(start: Start, protocol: Any) -> None:
    rest = await start(FakeEngine(failures={"Generate": Failed("INTERNAL", "it went wrong")}))
    call = await protocol(f"http://127.0.0.1:{rest.port}", "tiny").begin(REQUEST)
    with pytest.raises(BenchError, match="it went wrong"):
        await call.result()


async def test_a_schema_and_an_unload_are_asked_for(start: Start) -> None:
    rest = await start(FakeEngine(answer=list(ANSWER)))
    client = OllamaClient(f"http://127.0.0.1:{rest.port}/", "tiny")
    await (await client.begin(Request("x", 3, json_schema='{"type":"array"}'))).result()
    asked: Any = rest.engine.last(generation_pb2.GenerateRequest)
    assert json.loads(asked.format.json_schema) == {"type": "array"}
    await client.unload()
    unloaded: Any = rest.engine.last(model_service_pb2.UnloadRequest)
    assert unloaded.model == "tiny"


async def test_nobody_at_the_address_is_told(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(BenchError, match=f"nobody answers at {url}"):
        await OllamaClient(url, "tiny").begin(REQUEST)
    client = GrpcClient(Connection(f"127.0.0.1:{unused_tcp_port}"), "tiny")
    with pytest.raises(BenchError, match="the server answered"):
        await (await client.begin(REQUEST)).result()
    await client.close()
