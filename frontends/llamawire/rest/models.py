"""Models in the store and in memory: tags, ps, create, copy, delete."""

from __future__ import annotations

import grpc.aio
from aiohttp import web

from llamawire.v1 import model_service_pb2

from . import convert
from .convert import CreateBody
from .errors import RestError, mid_stream_text, rest_error
from .gojson import encode
from .names import local_name
from .ndjson import JSON, LineStream, json_response
from .reading import read_body
from .stubs import Stubs
from .times import UtcStamp

__all__ = ["ModelHandlers"]


class ModelHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs, stamp: UtcStamp) -> None:
        self._models = stubs.models
        self._stamp = stamp

    async def tags(self, request: web.Request) -> web.StreamResponse:
        try:
            listed = await self._models.ListModels(model_service_pb2.ListModelsRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "tags", "") from error
        return json_response({"models": [convert.stored_model(one) for one in listed.models]})

    async def ps(self, request: web.Request) -> web.StreamResponse:
        try:
            listed = await self._models.ListLoaded(model_service_pb2.ListLoadedRequest())
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "ps", "") from error
        now_ns = self._stamp.now_ns()
        return json_response(
            {"models": [convert.loaded_model(one, now_ns) for one in listed.models]}
        )

    async def copy(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, convert.read_copy)
        try:
            await self._models.CopyModel(
                model_service_pb2.CopyModelRequest(source=body.source, destination=body.destination)
            )
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "copy", body.source, destination=body.destination) from error
        return web.Response()

    async def delete(self, request: web.Request) -> web.StreamResponse:
        sent = await read_body(request, convert.read_delete)
        try:
            await self._models.DeleteModel(model_service_pb2.DeleteModelRequest(model=sent.strip()))
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "delete", sent) from error
        return web.Response()

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, convert.read_create)
        _check(body)
        from_name = local_name(body.from_model) if body.from_model else ""
        progress = self._models.CreateModel(convert.create_request(body, from_name))
        stream = LineStream(request)
        last: dict[str, object] = {}
        try:
            async for message in progress:
                last = convert.progress_line(message)
                if body.stream:
                    await stream.send([encode(last) + b"\n"])
        except grpc.aio.AioRpcError as error:
            if not stream.is_started:
                return _failed(rest_error(error, "create", body.model))
            text = mid_stream_text(error, "create", body.model)
            return await stream.finish(encode({"error": text}) + b"\n")
        finally:
            progress.cancel()
        success = {"status": "success"}
        if not body.stream:
            return json_response(success, content_type=JSON)
        # The engine's stream ends well without a word; clients wait for one.
        return await stream.finish(b"" if last == success else encode(success) + b"\n")


def _check(body: CreateBody) -> None:
    """What upstream looks at before it begins to work, in its order."""
    for path, digest in (*(body.files or {}).items(), *body.draft_files.items()):
        if not _is_relative(path):
            raise RestError(400, "file path must be relative")
        if not digest:
            raise RestError(400, "invalid digest format")
    if body.draft_quantize and not body.draft_files:
        raise RestError(400, "--draft-quantize requires a DRAFT model")
    if not all(body.adapters.values()):
        raise RestError(400, "invalid digest format")
    if not body.model.strip():
        raise RestError(400, "invalid model name")
    if not body.from_model and body.files == {}:
        raise RestError(400, "unknown type")
    for field in ("draft_files", "remote_host"):
        if getattr(body, field):
            raise RestError(400, f"{field} is not supported by this version of llamawire")


def _is_relative(path: str) -> bool:
    """A clean path with slashes that cannot leave its folder."""
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _failed(error: RestError) -> web.Response:
    return json_response(
        {"error": error.text}, status=error.status, content_type=JSON, headers=error.headers
    )
