"""`python -m llamawire.rest`, addresses, and what `__all__` promises."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import grpc.aio
import pytest

import llamawire.rest
from llamawire.rest import ListenError, Stubs, create_app, parse_address, serve_app
from llamawire.rest.__main__ import parse_arguments, variable
from rest.fake_engine import FakeEngine, LocalStub, add_to_server


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "127.0.0.1:11434"),
        ("1.2.3.4", "1.2.3.4:11434"),
        ("example.com", "example.com:11434"),
        (":1234", ":1234"),
        (":0", ":0"),
        (":66000", ":11434"),
        (":-1", ":11434"),
        ("h:x", "h:11434"),
        ("[::1]", "[::1]:11434"),
        ("::1", "[::1]:11434"),
        ("[::1]:5", "[::1]:5"),
        ("http://h", "h:80"),
        ("https://h", "h:443"),
        ("https://h/path", "h:443"),
        ("http://h:5/path", "h:5"),
        ("ollama.com", "ollama.com:443"),
        (" \"0.0.0.0:8080\" ", "0.0.0.0:8080"),
    ],
)  # fmt: skip
def test_addresses(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


def test_our_variables_win() -> None:
    environ = {"OLLAMA_HOST": "a", "LLAMAWIRE_HOST": " 'b' "}
    assert variable(environ, "HOST") == "b"
    assert variable({"OLLAMA_HOST": "a"}, "HOST") == "a"
    arguments = parse_arguments([], {"LLAMAWIRE_GRPC": "e:1", "OLLAMA_HOST": "h:2"})
    assert (arguments.engine, arguments.listen) == ("e:1", "h:2")
    assert parse_arguments(["--engine", "x:1"], {}).engine == "x:1"


def test_everything_promised_is_there() -> None:
    assert all(hasattr(llamawire.rest, name) for name in llamawire.rest.__all__)


def stubs() -> Stubs:
    local = LocalStub(FakeEngine())
    return Stubs(local, local, local, local, local)  # type: ignore[arg-type]


async def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            await serve_app(create_app(stubs()), "127.0.0.1", port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: another process has this port. "
        "Stop it, or choose another address with OLLAMA_HOST."
    )


async def test_no_host_check_beyond_loopback() -> None:
    serving = await serve_app(create_app(stubs()), "0.0.0.0", 0)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"http://127.0.0.1:{serving.port}/", headers={"Host": "evil.example"}
            ) as reply,
        ):
            assert reply.status == 200
    finally:
        await serving.close()


@asynccontextmanager
async def adapter(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llamawire.rest", *arguments,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stdout
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    match = re.search(rb":(\d+)\n", line)
    assert match, line
    return int(match[1])


async def test_the_process_serves_and_stops() -> None:
    engine = FakeEngine()
    server = grpc.aio.server()
    add_to_server(engine, server)
    engine_port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with adapter(
        "--engine", f"127.0.0.1:{engine_port}", OLLAMA_HOST="127.0.0.1:0"
    ) as process:
        port = await port_of(process)
        body = {"model": "tiny", "prompt": "p", "stream": False}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{port}/api/generate", json=body) as reply,
        ):
            assert (await reply.json())["response"] == "Hello!"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    await server.stop(None)


async def test_the_process_without_an_engine_says_so() -> None:
    async with adapter("--engine", "127.0.0.1:1", "--listen", "127.0.0.1:0") as process:
        port = await port_of(process)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/api/tags") as reply,
        ):
            assert reply.status == 503
            assert "the llamawire engine cannot be reached" in (await reply.json())["error"]
            assert reply.headers["Retry-After"] == "1"


async def test_the_process_on_a_taken_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        async with adapter("--listen", listen) as process:
            _, stderr = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 1
            assert stderr.decode().startswith(f"llamawire rest: cannot listen on {listen}: another")
