"""Bodies with too many of something are refused before each of them was read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rest.conftest import Rest

MANY = 100_000


def many(item: bytes, count: int = MANY) -> bytes:
    return b"[" + b",".join([item]) + (b"," + item) * (count - 1) + b"]"


@pytest.mark.parametrize(
    ("path", "field", "value", "limit"),
    [
        ("/api/chat", b"messages", many(b"{}"), "messages must be at most 16384"),
        ("/api/chat", b"tools", many(b"{}"), "tools must be at most 1024"),
        ("/api/chat", b"messages", b'[{"tool_calls":' + many(b"{}") + b"}]",
         "tool_calls must be at most 1024"),
        ("/api/embed", b"input", many(b'"x"'), "inputs must be at most 4096"),
        ("/api/rerank", b"documents", many(b'"x"'), "documents must be at most 4096"),
        ("/api/generate", b"keep_alive", b'"' + b"1ns" * MANY + b'"',
         'time: invalid duration "' + "1ns" * 85 + '1"'),
        ("/api/create", b"parameters",
         b"{" + b",".join(b'"k%d":1' % index for index in range(20_000)) + b"}",
         "parameters must be at most 4096"),
        ("/v1/chat/completions", b"messages", many(b"{}"), "messages must be at most 16384"),
        ("/v1/chat/completions", b"messages",
         b'[{"role":"user","content":' + many(b"{}") + b"}]", "content must be at most 16384"),
        ("/v1/responses", b"input", many(b"{}"), "input must be at most 16384"),
        ("/v1/responses", b"tools", many(b"{}"), "tools must be at most 1024"),
        ("/v1/messages", b"messages", many(b"{}"), "messages must be at most 16384"),
        ("/v1/messages", b"messages",
         b'[{"role":"user","content":' + many(b"{}") + b"}]", "content must be at most 16384"),
        ("/v1/embeddings", b"input", many(b'"x"'), "inputs must be at most 4096"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
async def test_too_many_are_refused_with_the_limit(
    rest: Rest, path: str, field: bytes, value: bytes, limit: str
) -> None:
    reply = await rest.request("POST", path, b'{"model":"tiny","' + field + b'":' + value + b"}")
    assert reply.status == 400
    error: Any = reply.json["error"]
    assert (error["message"] if isinstance(error, dict) else error) == limit
    assert not {"Chat", "Generate", "Embed", "Rerank", "CreateModel"} & set(rest.engine.names())


async def test_others_are_served_while_a_long_body_is_read(rest: Rest) -> None:
    # Keys in another case go the slow way: half a second or so.
    long = b'{"model":"tiny","prompt":"p",' + b",".join([b'"Prompt":"p"'] * 10_000) + b"}"
    slow = asyncio.create_task(rest.request("POST", "/api/generate", long))
    served = 0
    while not slow.done():
        assert (await rest.request("GET", "/api/version")).status == 200
        served += 1
    assert (await slow).status == 200
    assert served > 2
