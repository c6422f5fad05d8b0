"""llamawire's own protocol: GenerationService.Generate."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio

from llamawire.cli.bench.exchange import BenchError, Exchange, Message, Request, ServerTimes
from llamawire.cli.connection import Connection
from llamawire.v1.generation_pb2 import Format, GenerateRequest, GenerateResponse
from llamawire.v1.generation_service_pb2_grpc import GenerationServiceStub
from llamawire.v1.model_service_pb2 import UnloadRequest
from llamawire.v1.model_service_pb2_grpc import ModelServiceStub
from llamawire.v1.options_pb2 import Options

__all__ = ["GrpcClient", "read_replies"]

Reply = tuple[float, GenerateResponse]


class GrpcClient:
    """One model of a server; all requests share a channel."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._model = model
        self._metadata = connection.credentials.metadata
        self._channel = connection.aio_channel()
        self._generation = GenerationServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)

    async def begin(self, request: Request) -> GrpcCall:
        message = GenerateRequest(
            model=self._model,
            prompt=request.prompt,
            raw=True,
            options=Options(
                num_predict=request.num_predict,
                seed=request.seed,
                temperature=request.temperature,
                top_k=request.top_k,
                top_p=request.top_p,
                min_p=0.0,
                repeat_penalty=1.0,
            ),
        )
        if request.json_schema:
            message.format.CopyFrom(Format(json_schema=request.json_schema))
        started_s = time.perf_counter()
        return GrpcCall(self._generation.Generate(message, metadata=self._metadata), started_s)

    async def unload(self) -> None:
        try:
            await self._models.Unload(UnloadRequest(model=self._model), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise BenchError(f"the server answered: {error.details()}") from error

    async def close(self) -> None:
        await self._channel.close(grace=None)


class GrpcCall:
    """An answer under way."""

    def __init__(
        self, call: grpc.aio.UnaryStreamCall[GenerateRequest, GenerateResponse], started_s: float
    ) -> None:
        self._call = call
        self._started_s = started_s
        self._replies: list[Reply] = []
        self._left = False
        self._wanted = 0
        self._enough = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def wait_messages(self, count: int) -> None:
        self._wanted = count
        if len(self._replies) < count and not self._reading.done():
            self._enough.clear()
            await self._enough.wait()

    def hang_up(self) -> None:
        self._left = True
        self._call.cancel()

    async def result(self) -> Exchange:
        try:
            await self._reading
        except grpc.aio.AioRpcError as error:
            raise BenchError(f"the server answered: {error.details()}") from error
        except asyncio.CancelledError:
            if not self._left:
                raise
        return read_replies(self._started_s, self._replies, left=self._left)

    async def _read(self) -> None:
        try:
            async for reply in self._call:
                self._replies.append((time.perf_counter(), reply))
                if 0 < self._wanted <= len(self._replies):
                    self._enough.set()
        finally:
            self._enough.set()


def read_replies(started_s: float, replies: list[Reply], *, left: bool = False) -> Exchange:
    """The answer in `replies`. BenchError if it has no end and nobody left."""
    messages: list[Message] = []
    for at_s, reply in replies:
        messages.extend(Message(at_s, piece.text) for piece in reply.pieces.pieces)
        if reply.HasField("finished"):
            finished = reply.finished
            return Exchange(
                started_s,
                at_s,
                messages,
                prompt_count=finished.prompt_count,
                generated_count=finished.generated_count,
                server=ServerTimes(
                    total_s=finished.total_ns / 1e9,
                    prompt_s=finished.prompt_ns / 1e9,
                    generate_s=finished.generate_ns / 1e9,
                ),
            )
    if not left:
        raise BenchError("the answer has no end")
    return Exchange(started_s, messages[-1].at_s if messages else started_s, messages)
