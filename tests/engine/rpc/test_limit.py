"""A call too many is refused with details, health is answered always."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from llamawire.engine.rpc.health import HealthServicer
from llamawire.engine.rpc.limit import CallLimit
from llamawire.v1 import generation_pb2
from llamawire.v1 import generation_service_pb2 as pb
from llamawire.v1 import generation_service_pb2_grpc as pb_grpc

Request = generation_pb2.GenerateRequest


class Servicer(pb_grpc.GenerationServiceServicer):
    """Answers once and then waits for ever."""

    async def Generate(
        self, request: Request, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        yield generation_pb2.GenerateResponse()
        await asyncio.Event().wait()

    async def Tokenize(self, request: Any, context: Any) -> pb.TokenizeResponse:
        return pb.TokenizeResponse()


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=[CallLimit(2)])
    pb_grpc.add_GenerationServiceServicer_to_server(Servicer(), server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(str), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def test_a_call_too_many_is_refused_with_details(channel: grpc.aio.Channel) -> None:
    stub: Any = pb_grpc.GenerationServiceStub(channel)
    running = [stub.Generate(Request()) for _ in range(2)]
    for call in running:
        await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as unary:
        await stub.Tokenize(pb.TokenizeRequest())
    with pytest.raises(grpc.aio.AioRpcError) as stream:
        await stub.Generate(Request()).read()
    for refused in (unary.value, stream.value):
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(refused)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert info.reason == "QUEUE_FULL"
        assert retry.retry_delay.seconds == 1
    health: Any = health_pb2_grpc.HealthStub(channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1


async def test_a_call_that_ends_makes_room(channel: grpc.aio.Channel) -> None:
    stub: Any = pb_grpc.GenerationServiceStub(channel)
    for _ in range(5):
        calls = [stub.Generate(Request()) for _ in range(2)]
        for call in calls:
            await call.read()
            call.cancel()
        for _ in range(1000):
            try:
                await stub.Tokenize(pb.TokenizeRequest())
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.001)
        else:
            raise AssertionError("the calls never ended")
