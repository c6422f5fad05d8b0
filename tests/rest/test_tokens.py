"""POST /api/tokenize and /api/detokenize."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from llamawire.v1 import generation_service_pb2
from rest.conftest import Rest
from rest.fake_engine import Failed


async def test_a_text_and_its_tokens(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/tokenize", {"model": " Tiny", "content": "ab"})
    assert (reply.status, reply.type) == (200, "application/json; charset=utf-8")
    assert reply.body == b'{"model":" Tiny","tokens":[97,98]}'
    request = rest.engine.last(generation_service_pb2.TokenizeRequest)
    assert isinstance(request, generation_service_pb2.TokenizeRequest)
    assert (request.model, request.add_special, request.no_parse_special) == ("Tiny", False, False)
    body = {"model": "tiny", "tokens": [97, 98]}
    reply = await rest.request("POST", "/api/detokenize", body)
    assert reply.body == b'{"model":"tiny","content":"ab"}'


async def test_how_special_tokens_are_treated(rest: Rest) -> None:
    body = {"model": "tiny", "content": "", "add_special": True, "parse_special": False}
    reply = await rest.request("POST", "/api/tokenize", body)
    assert reply.json["tokens"] == []
    request = rest.engine.last(generation_service_pb2.TokenizeRequest)
    assert (request.add_special, request.no_parse_special) == (True, True)  # type: ignore[attr-defined]


FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("tokenize", {"model": "tiny"}, "content is required"),
        ("detokenize", {"model": "tiny", "tokens": None}, "tokens is required"),
        ("tokenize", {"content": 1}, FIELD.format("number", "TokenizeRequest.content", "string")),
        ("detokenize", {"tokens": "x"},
         FIELD.format("string", "DetokenizeRequest.tokens", "[]int")),
        ("detokenize", {"tokens": [1.5]},
         FIELD.format("number 1.5", "DetokenizeRequest.tokens", "int")),
        ("detokenize", {"tokens": [1 << 31]}, "tokens holds 2147483648, which is no token id"),
    ],
)  # fmt: skip
async def test_bodies_that_are_refused(
    rest: Rest, path: str, body: dict[str, Any], text: str
) -> None:
    reply = await rest.request("POST", f"/api/{path}", body)
    assert (reply.status, reply.error) == (400, text)
    assert not rest.engine.requests


@pytest.mark.parametrize(
    ("path", "body", "rpc"),
    [("tokenize", {"content": "x"}, "Tokenize"), ("detokenize", {"tokens": [1]}, "Detokenize")],
)
async def test_models_that_are_not_there(
    rest: Rest, path: str, body: dict[str, Any], rpc: str
) -> None:
    rest.engine.failures[rpc] = Failed("MODEL_REQUIRED", code=grpc.StatusCode.INVALID_ARGUMENT)
    reply = await rest.request("POST", f"/api/{path}", body)
    assert (reply.status, reply.error) == (400, "model is required")
    rest.engine.failures[rpc] = Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND)
    reply = await rest.request("POST", f"/api/{path}", {"model": "no", **body})
    assert (reply.status, reply.error) == (404, "model 'no' not found")
