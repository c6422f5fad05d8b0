"""The in-process stub behaves as one over a channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from llamawire.engine.errors import QueueFull
from llamawire.engine.rpc.local import local_stub
from llamawire.engine.rpc.status import failures_as_status
from llamawire.v1 import generation_pb2, generation_service_pb2
from llamawire.v1 import generation_service_pb2_grpc as pb_grpc

SERVICE = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"]
Request = generation_pb2.GenerateRequest


class Servicer(pb_grpc.GenerationServiceServicer):
    def __init__(self) -> None:
        self.cleaned_up = asyncio.Event()

    async def Generate(
        self, request: Request, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        async with failures_as_status(context):
            try:
                if request.model == "full":
                    raise QueueFull(3)
                for _ in range(2):
                    yield generation_pb2.GenerateResponse()
                if request.model == "broken":
                    raise KeyError("secret detail")
                if request.model == "endless":
                    await asyncio.Event().wait()
            finally:
                self.cleaned_up.set()


@pytest.fixture(params=["local", "channel"])
async def stub(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    servicer = Servicer()
    if request.param == "local":
        local = local_stub(servicer, SERVICE)
        local.servicer = servicer
        yield local
        return
    server = grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        remote = pb_grpc.GenerationServiceStub(channel)
        remote.servicer = servicer
        yield remote
    await server.stop(None)


async def test_a_stream_gives_its_replies(stub: Any) -> None:
    assert len([reply async for reply in stub.Generate(Request(model="m"))]) == 2


async def test_a_failure_is_an_rpc_error_with_details(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for _ in stub.Generate(Request(model="full")):
            pass
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error.value)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.metadata["limit"]) == ("QUEUE_FULL", "3")
    assert retry.retry_delay.seconds == 1


async def test_a_mistake_of_ours_tells_nothing_of_itself(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for _ in stub.Generate(Request(model="broken")):
            pass
    assert error.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in error.value.details()


async def test_cancel_runs_the_servicers_clean_up(stub: Any) -> None:
    call = stub.Generate(Request(model="endless"))
    started = asyncio.Event()

    async def read() -> None:
        async for _ in call:
            started.set()

    reading = asyncio.create_task(read())
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(stub.servicer.cleaned_up.wait(), 5)


async def test_a_reader_that_is_cancelled_cancels_the_call(stub: Any) -> None:
    async def read() -> None:
        async for _ in stub.Generate(Request(model="endless")):
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(stub.servicer.cleaned_up.wait(), 5)
