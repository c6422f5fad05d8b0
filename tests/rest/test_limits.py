"""Probes, and what is refused before any handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import pytest

from llamawire.rest import RestSettings
from rest.conftest import Rest, Start
from rest.fake_engine import Failed, FakeEngine, pieces


async def settled(condition: Callable[[], bool]) -> None:
    """Waits for what happens soon but not at once."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


async def test_alive_is_who_answers_and_ready_who_takes_requests(rest: Rest) -> None:
    assert (await rest.request("GET", "/healthz")).body == b"ok"
    assert (await rest.request("GET", "/readyz")).body == b"ready"
    assert (await rest.request("GET", "/readyz?model=tiny")).status == 200
    late = await rest.request("GET", "/readyz?model=late")
    assert (late.status, late.headers["Retry-After"]) == (503, "1")
    rest.engine.is_draining = True
    assert (await rest.request("GET", "/readyz")).status == 503
    assert (await rest.request("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("code", "status"), [(grpc.StatusCode.NOT_FOUND, 404), (grpc.StatusCode.UNAVAILABLE, 503)]
)
async def test_a_model_that_is_not_there_and_an_engine_that_is_not(
    rest: Rest, code: grpc.StatusCode, status: int
) -> None:
    rest.engine.failures["HealthCheck"] = Failed("", "no", code=code)
    assert (await rest.request("GET", "/readyz?model=x")).status == status


async def test_a_request_too_many_is_refused_and_probes_never(start: Start) -> None:
    engine = FakeEngine(answer=[pieces("a"), asyncio.Event()])
    rest = await start(engine, RestSettings(requests_max=1))
    running = asyncio.create_task(rest.generate(prompt="x"))
    await settled(lambda: bool(engine.requests))
    refused = await rest.request("GET", "/api/tags")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert refused.error == "the server is busy: 1 requests run already"
    assert (await rest.request("GET", "/readyz")).status == 200
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await settled(lambda: engine.was_cancelled)
    assert (await rest.request("GET", "/api/tags")).status == 200


async def test_a_body_that_stands_still_is_given_up(start: Start) -> None:
    rest = await start(settings=RestSettings(body_stall_timeout_s=0.05))
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
    reader, _ = await rest.send_raw(head + b'{"model"')
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body has stood still for 0.05 s" in answer


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_connection_whose_headers_do_not_come_is_closed(start: Start, begun: bytes) -> None:
    rest = await start(settings=RestSettings(idle_timeout_s=0.05))
    reader, _ = await rest.send_raw(begun)
    assert await asyncio.wait_for(reader.read(), 10) == b""
