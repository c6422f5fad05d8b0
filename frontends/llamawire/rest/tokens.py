"""POST /api/tokenize and /api/detokenize, which are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc.aio
from aiohttp import web

from llamawire.v1 import generation_pb2, generation_service_pb2

from . import gojson
from .errors import rest_error
from .names import local_name
from .ndjson import json_response
from .reading import read_body
from .stubs import Stubs

__all__ = ["TokenHandlers"]

_INT32 = range(-(1 << 31), 1 << 31)


def _read_ids(raw: bytes) -> list[int]:
    ids = gojson.integers(raw)
    for token in ids:
        if token not in _INT32:
            raise gojson.DecodeError(f"tokens holds {token}, which is no token id")
    return ids


_TOKENIZE: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "content": gojson.string,
    "add_special": gojson.boolean,
    "parse_special": gojson.boolean,
}
_DETOKENIZE: Mapping[str, gojson.Leaf] = {"model": gojson.string, "tokens": _read_ids}


class TokenHandlers:
    """The handlers of one application."""

    def __init__(self, stubs: Stubs) -> None:
        self._generation = stubs.generation

    async def tokenize(self, request: web.Request) -> web.StreamResponse:
        given = await read_body(request, _read_tokenize)
        model = given.get("model", "")
        call = generation_service_pb2.TokenizeRequest(
            model=local_name(model),
            text=given["content"],
            add_special=given.get("add_special", False),
            no_parse_special=not given.get("parse_special", True),
        )
        try:
            reply = await self._generation.Tokenize(call)
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "tokenize", model) from error
        return json_response({"model": model, "tokens": list(reply.tokens.ids)})

    async def detokenize(self, request: web.Request) -> web.StreamResponse:
        given = await read_body(request, _read_detokenize)
        model = given.get("model", "")
        call = generation_service_pb2.DetokenizeRequest(
            model=local_name(model), tokens=generation_pb2.TokenIds(ids=given["tokens"])
        )
        try:
            reply = await self._generation.Detokenize(call)
        except grpc.aio.AioRpcError as error:
            raise rest_error(error, "detokenize", model) from error
        return json_response({"model": model, "content": reply.text})


def _read_tokenize(body: bytes) -> dict[str, Any]:
    return _read(body, "TokenizeRequest", _TOKENIZE, "content")


def _read_detokenize(body: bytes) -> dict[str, Any]:
    return _read(body, "DetokenizeRequest", _DETOKENIZE, "tokens")


def _read(
    body: bytes, struct: str, leaves: Mapping[str, gojson.Leaf], required: str
) -> dict[str, Any]:
    given = gojson.decode(body, struct, leaves)
    if required not in given:
        raise gojson.DecodeError(f"{required} is required")
    return given
