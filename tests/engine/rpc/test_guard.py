"""Keys are asked for in one place, whether a call comes over gRPC or from the adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from llamawire.engine.access import KeyFile, Keyring, new_key
from llamawire.engine.rpc.guard import OPEN, SCOPES, Guard, KeyCheck, model_names
from llamawire.engine.rpc.health import HealthServicer
from llamawire.engine.rpc.local import local_stub
from llamawire.v1 import (
    embedding_service_pb2,
    generation_pb2,
    generation_service_pb2,
    generation_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    server_service_pb2,
)

GENERATION = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"]
EMBEDDING = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
MODELS = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
SERVER = server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]
SERVICES = (GENERATION, EMBEDDING, MODELS, SERVER)
Request = generation_pb2.GenerateRequest


class Servicer(
    generation_service_pb2_grpc.GenerationServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Says two tokens and then, for `endless`, waits."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.users: list[str] = []

    async def Generate(
        self, request: Request, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        reply = generation_pb2.GenerateResponse
        self.users.append(request.user)
        try:
            yield reply(started=generation_pb2.Started(prompt_kept_count=10))
            yield reply(
                pieces=generation_pb2.Pieces(pieces=[generation_pb2.Piece(token_ids=[1, 2])])
            )
            if request.model == "endless":
                await asyncio.Event().wait()
            yield reply(finished=generation_pb2.Finished(generated_count=5))
        finally:
            self.left.set()

    async def Tokenize(self, request: Any, context: Any) -> generation_service_pb2.TokenizeResponse:
        return generation_service_pb2.TokenizeResponse()

    async def ListModels(self, request: Any, context: Any) -> model_service_pb2.ListModelsResponse:
        models = [model_pb2.Model(name=name) for name in ("tiny:latest", "secret:latest")]
        return model_service_pb2.ListModelsResponse(models=models)

    async def PutBlob(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> model_service_pb2.PutBlobResponse:
        assert [request async for request in request_iterator]
        return model_service_pb2.PutBlobResponse()


class Doors:
    """The same servicer behind both doors; calls are made with one key."""

    def __init__(self, path: Path) -> None:
        self.file = KeyFile(path)
        self.metadata: Any = ()
        self.add("first")
        self.servicer = Servicer()
        self.guard = Guard(Keyring(self.file))

    def add(self, name: str, *scopes: str, **fields: Any) -> None:
        text, key = new_key(name, scopes or ["generate"], **fields)
        self.file.add(key)
        self.metadata = (("authorization", f"Bearer {text}"),)

    async def generate(self, model: str = "tiny") -> int:
        call = self.generation.Generate(Request(model=model), metadata=self.metadata)
        return len([reply async for reply in call])

    async def list(self) -> list[str]:
        request = model_service_pb2.ListModelsRequest()
        listed = await self.models.ListModels(request, metadata=self.metadata)
        return [model.name for model in listed.models]

    generation: Any
    models: Any
    channel: Any = None


@pytest.fixture(params=["local", "channel"])
async def doors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Doors]:
    doors = Doors(tmp_path / "keys.json")
    if request.param == "local":
        doors.generation = local_stub(doors.servicer, GENERATION, doors.guard)
        doors.models = local_stub(doors.servicer, MODELS, doors.guard)
        yield doors
        return
    server = grpc.aio.server(interceptors=[KeyCheck(doors.guard)])
    generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(doors.servicer, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(doors.servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(str), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        doors.channel = channel
        doors.generation = generation_service_pb2_grpc.GenerationServiceStub(channel)
        doors.models = model_service_pb2_grpc.ModelServiceStub(channel)
        yield doors
    await server.stop(None)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, float]:
    """The status, the reason, and when to try again."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
        detail.Unpack(retry)
    return caught.value.code(), info.reason, retry.retry_delay.seconds


CODE = grpc.StatusCode


async def test_with_a_key_all_is_as_without(doors: Doors) -> None:
    assert await doors.generate() == 3


async def test_without_a_key_or_with_a_wrong_one_nothing_is_done(doors: Doors) -> None:
    doors.metadata = ()
    assert await refused(doors.generate()) == (CODE.UNAUTHENTICATED, "KEY_MISSING", 0)
    assert await refused(doors.list()) == (CODE.UNAUTHENTICATED, "KEY_MISSING", 0)
    doors.metadata = (("authorization", "Bearer none"),)
    assert await refused(doors.generate()) == (CODE.UNAUTHENTICATED, "KEY_INVALID", 0)
    assert not doors.servicer.left.is_set()


async def test_an_upload_without_a_key_is_refused_and_with_one_taken(doors: Doors) -> None:
    async def parts() -> AsyncIterator[model_service_pb2.PutBlobRequest]:
        yield model_service_pb2.PutBlobRequest(data=b"x")

    call = doors.models.PutBlob(parts(), metadata=())
    assert await refused(call) == (CODE.UNAUTHENTICATED, "KEY_MISSING", 0)
    doors.add("maker", "models")
    await doors.models.PutBlob(parts(), metadata=doors.metadata)


async def test_a_scope_is_for_its_methods(doors: Doors) -> None:
    doors.add("maker", "models")
    assert await refused(doors.generate()) == (CODE.PERMISSION_DENIED, "SCOPE_MISSING", 0)
    assert await doors.list() == ["tiny:latest", "secret:latest"]
    doors.add("boss", "admin")
    assert await doors.generate() == 3


async def test_a_list_of_models_hides_the_others(doors: Doors) -> None:
    doors.add("guest", models=["tiny"])
    assert await doors.generate("tiny") == 3
    assert await refused(doors.generate("secret")) == (
        CODE.PERMISSION_DENIED, "MODEL_NOT_ALLOWED", 0,
    )  # fmt: skip
    assert await doors.list() == ["tiny:latest"]


async def test_users_are_users_of_their_key(doors: Doors) -> None:
    """Who waits for a stream is next by how little its user has had."""
    for name in ("one", "two"):
        doors.add(name)
        await doors.generate()
    first, second = doors.servicer.users
    assert first != second
    assert {first, second} == {f"{key.id}/" for key in doors.file.read()[1:]}


async def test_requests_over_the_rate_are_told_when_to_come_again(doors: Doors) -> None:
    doors.add("busy", requests_per_minute=2)
    await doors.generate()
    await doors.list()
    await doors.generate()
    code, reason, wait_s = await refused(doors.generate())
    assert (code, reason) == (CODE.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert 0 < wait_s <= 30
    # Looking costs nothing.
    await doors.list()


async def test_the_tokens_of_prompt_and_answer_are_counted(doors: Doors) -> None:
    doors.add("frugal", tokens_per_day=16)
    await doors.generate()
    await doors.generate()
    code, reason, wait_s = await refused(doors.generate())
    assert (code, reason) == (CODE.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    # 10 + 5 tokens twice leave a debt of 14, and one more is wanted.
    assert wait_s == pytest.approx(15 * 86_400 / 16, abs=5)
    request = generation_service_pb2.TokenizeRequest()
    await doors.generation.Tokenize(request, metadata=doors.metadata)


async def test_the_tokens_of_an_answer_that_was_left_are_counted(doors: Doors) -> None:
    doors.add("leaver", tokens_per_day=12)
    call = doors.generation.Generate(Request(model="endless"), metadata=doors.metadata)
    seen = asyncio.Event()

    async def read() -> None:
        async for reply in call:
            if reply.HasField("pieces"):
                seen.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(seen.wait(), 10)
    call.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await asyncio.wait_for(doors.servicer.left.wait(), 10)
    assert (await refused(doors.generate()))[1] == "QUOTA_EXCEEDED"


async def test_a_stream_outlives_its_key(doors: Doors) -> None:
    call = doors.generation.Generate(Request(model="tiny"), metadata=doors.metadata)
    replies = aiter(call)
    await anext(replies)
    doors.file.revoke("first")
    assert (await refused(doors.generate()))[1] == "KEY_INVALID"
    assert len([reply async for reply in replies]) == 2


async def test_health_is_open(doors: Doors) -> None:
    if doors.channel is not None:
        health: Any = health_pb2_grpc.HealthStub(doors.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1


def test_every_method_has_its_scopes() -> None:
    """One that is forgotten is refused to all but admins."""
    methods = {f"/{each.full_name}/{m.name}" for each in SERVICES for m in each.methods}
    assert methods == {name for name in SCOPES if not name.startswith("/grpc.")}
    assert not any(name.startswith(OPEN) for name in SCOPES)


def test_every_name_of_a_model_in_a_request_is_found() -> None:
    for service in SERVICES:
        for method in service.methods:
            request = method.input_type._concrete_class()
            names = {f for f in ("model", "from", "source", "destination")
                     if f in request.DESCRIPTOR.fields_by_name}  # fmt: skip
            for field in names:
                setattr(request, field, f"m-{field}")
            assert set(model_names(request)) == {f"m-{field}" for field in names}
    render = generation_service_pb2.RenderRequest()
    render.chat.model = "inner"
    assert list(model_names(render)) == ["inner"]
