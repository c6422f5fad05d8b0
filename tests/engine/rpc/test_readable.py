"""Requests that protobuf cannot read, and errors that are longer than headers may be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.rpc.readable import ReadableRequests
from llamawire.engine.rpc.status import failures_as_status, rich_status
from llamawire.v1 import generation_pb2, model_service_pb2, model_service_pb2_grpc
from llamawire.v1 import generation_service_pb2 as pb
from llamawire.v1 import generation_service_pb2_grpc as pb_grpc

GENERATION = "/llamawire.v1.GenerationService/"
MODELS = "/llamawire.v1.ModelService/"
# Cut short, no field at all, and a text that is not UTF-8.
DAMAGED = [b"\x0a\xff", b"\xff" * 9, b"\x0a\x02\xc3\x28"]


class Servicer(pb_grpc.GenerationServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async with failures_as_status(context):
            if request.model == "long":
                raise InvalidArgument("é" * 100_000, field="€" * 100_000)
            yield generation_pb2.GenerateResponse()
            yield generation_pb2.GenerateResponse()

    async def Tokenize(self, request: Any, context: Any) -> pb.TokenizeResponse:
        return pb.TokenizeResponse()

    async def PutBlob(self, parts: Any, context: Any) -> model_service_pb2.PutBlobResponse:
        async for _ in parts:
            pass
        return model_service_pb2.PutBlobResponse()


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=[ReadableRequests()])
    pb_grpc.add_GenerationServiceServicer_to_server(Servicer(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def call(channel: grpc.aio.Channel, method: str, data: bytes) -> None:
    """Sends these bytes; raises what comes back if it is an error."""
    if method.endswith("Generate"):
        async for _ in channel.unary_stream(method)(data):
            pass
    elif method.endswith("PutBlob"):
        await channel.stream_unary(method)(iter([b"", data]))
    else:
        await channel.unary_unary(method)(data)


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return info


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("method", [GENERATION + "Generate", GENERATION + "Tokenize",
                                    MODELS + "PutBlob"])  # fmt: skip
async def test_a_request_that_cannot_be_read_is_told(
    channel: grpc.aio.Channel, method: str, data: bytes
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(channel, method, data)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = info_of(error.value)
    assert info.reason == "INVALID_MESSAGE"
    assert dict(info.metadata) == {"request": method.rpartition("/")[2] + "Request"}
    assert "UTF-8" in str(error.value.details())


async def test_requests_that_can_be_read_arrive(channel: grpc.aio.Channel) -> None:
    request = generation_pb2.GenerateRequest(model="tiny")
    stub: Any = pb_grpc.GenerationServiceStub(channel)
    assert len([reply async for reply in stub.Generate(request)]) == 2
    assert await stub.Tokenize(pb.TokenizeRequest()) == pb.TokenizeResponse()
    models: Any = model_service_pb2_grpc.ModelServiceStub(channel)
    parts = [model_service_pb2.PutBlobRequest(data=b"x")] * 3
    assert await models.PutBlob(iter(parts)) == model_service_pb2.PutBlobResponse()


async def test_a_long_error_arrives_shortened(channel: grpc.aio.Channel) -> None:
    stub: Any = pb_grpc.GenerationServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Generate(generation_pb2.GenerateRequest(model="long")).read()
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.value.details()).strip("é") == " … "
    assert info_of(error.value).metadata["field"].strip("€") == " … "


def test_a_sentence_keeps_its_beginning_and_its_end() -> None:
    status: status_pb2.Status = rich_status(InvalidArgument(f"model {'x' * 9000} is no name"))
    assert status.message.startswith("model xxx")
    assert status.message.endswith("xxx is no name")
    assert len(status.message) < 1300
