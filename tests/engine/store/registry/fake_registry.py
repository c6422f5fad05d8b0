"""A registry of our own, with faults on purpose."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MODEL = "application/vnd.ollama.image.model"
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest_of(layers: Iterable[tuple[str, bytes]], config: bytes = b"{}") -> bytes:
    """Pretty-printed and with a field that nobody knows: not as we would write it."""

    def layer(media_type: str, data: bytes) -> dict[str, Any]:
        return {"digest": digest_of(data), "mediaType": media_type, "size": len(data)}

    fields = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "unknown": True,
        "config": layer(CONFIG, config),
        "layers": [layer(*one) for one in layers],
    }
    return json.dumps(fields, indent=3).encode()


@dataclass
class Request:
    """A request that came in."""

    method: str
    path: str
    headers: Any
    query: Any


@dataclass
class FakeRegistry:
    """Also plays the storage to which another one redirects."""

    port: int = 0
    scheme: str = "http"
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    # Faults. Lists are used up, one entry a request for a blob.
    redirect: str = ""
    redirect_status: int = 307
    has_ranges: bool = True
    is_chunked: bool = False
    surplus: bytes = b""
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    rate: float = 0.0
    gate: asyncio.Event | None = None
    served_bytes: int = 0
    # Sign-in: what is demanded, and the header that satisfies it.
    challenge: str = ""
    accepted: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)
    # Uploads.
    uploads: dict[str, bytearray] = field(default_factory=dict)
    received_bytes: int = 0
    upload_cuts: list[int] = field(default_factory=list)
    upload_stalls: int = 0
    upload_redirect: str = ""
    forgets: int = 0
    mounts: bool = False
    is_relative: bool = False
    # Called when a request has come, when a piece of an upload has, and before each answer.
    on_event: Callable[[], None] = lambda: None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def add(self, data: bytes) -> str:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def add_model(self, name: str, *layers: tuple[str, bytes], config: bytes = b"{}") -> bytes:
        """`name` is `namespace/model:tag`."""
        for data in (config, *(layer for _, layer in layers)):
            self.add(data)
        self.manifests[name] = manifest_of(layers, config)
        return self.manifests[name]

    def of(self, method: str, part: str = "/blobs/sha256") -> list[Request]:
        """The requests of a method whose path has `part` in it."""
        return [one for one in self.requests if one.method == method and part in one.path]

    def ranges(self) -> list[tuple[int, int]]:
        found = [one.headers.get("Range", "") for one in self.of("GET")]
        pairs = [re.findall(r"\d+", text) for text in found if text]
        return [(int(first), int(last)) for first, last in pairs]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.on_event()
        response = await self._answer(request)
        self.on_event()
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.requests.append(Request(request.method, path, request.headers, request.query))
        if path == "/token":
            return web.json_response(self.tokens)
        if path == "/v2/":
            return web.Response()
        if path == "/nowhere" and not self.accepted:
            return web.Response(status=404)
        if self.challenge and request.headers.get("Authorization") != self.accepted:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            return await self._manifest(request, f"{match[1]}:{match[2]}")
        if "/blobs/uploads/" in path:
            return await self._upload(request, path.rpartition("/")[2])
        if match := re.search(r"/(sha256:[0-9a-f]{64})$", path):
            return await self._blob(request, match[1])
        return web.Response(status=404, text="no such page")

    async def _manifest(self, request: web.Request, name: str) -> web.StreamResponse:
        if request.method == "PUT":
            self.manifests[name] = await request.read()
            return web.Response(status=201)
        if name not in self.manifests:
            return web.Response(status=404, text="no such manifest")
        return web.Response(body=self.manifests[name], content_type="application/json")

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        if self.redirect and request.method == "GET":
            location = f"{self.redirect}/storage/{digest}?signature=a%2Fb%3D"
            return web.Response(status=self.redirect_status, headers={"Location": location})
        if self.statuses and (status := self.statuses.pop(0)):
            return web.Response(status=status, text="not now")
        data = self.blobs.get(digest)
        if data is None:
            return web.Response(status=404)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(data))})
        return await self._send(request, data)

    async def _send(self, request: web.Request, data: bytes) -> web.StreamResponse:
        total = len(data)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        first, last = (int(match[1]), int(match[2])) if match else (0, total - 1)
        response = web.StreamResponse()
        if self.has_ranges and match:
            data = data[first : last + 1]
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        if total > 2:
            data += self.surplus
        if self.is_chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(data)
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else 0
        stall = self.stalls.pop(0) if self.stalls else 0
        try:
            await self._write(response, data[: cut or stall or None])
            if stall:
                await asyncio.sleep(3600)
            if cut and request.transport is not None:
                request.transport.close()
            if self.gate is not None:
                await self.gate.wait()
        except ConnectionError:
            pass
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        piece = 16384 if self.rate else 1 << 20
        for at in range(0, len(data), piece):
            await response.write(data[at : at + piece])
            self.served_bytes += len(data[at : at + piece])
            if self.rate:
                await asyncio.sleep(piece / self.rate)

    async def _upload(self, request: web.Request, upload: str) -> web.StreamResponse:
        if request.method == "POST":
            return self._start_upload(request)
        if upload not in self.uploads:
            return web.Response(status=404)
        if request.method == "GET":
            return self._upload_status(request, upload, 204)
        if request.method == "PATCH":
            return await self._patch(request, upload)
        self.uploads[upload] += await request.read()
        if "digest" not in request.query:
            return web.Response(status=200)
        digest, data = request.query["digest"], bytes(self.uploads.pop(upload))
        if digest_of(data) != digest:
            return web.Response(status=400, text="DIGEST_INVALID")
        self.blobs[digest] = data
        return web.Response(status=201)

    def _start_upload(self, request: web.Request) -> web.Response:
        if self.mounts and request.query.get("mount") in self.blobs:
            return web.Response(status=201)
        upload = f"u{len(self.requests)}"
        self.uploads[upload] = bytearray()
        return self._upload_status(request, upload, 202)

    async def _patch(self, request: web.Request, upload: str) -> web.StreamResponse:
        if self.upload_redirect:
            headers = {
                "Docker-Upload-Location": str(request.url),
                "Location": f"{self.upload_redirect}/v2/x/blobs/uploads/{upload}",
            }
            return web.Response(status=307, headers=headers)
        if self.upload_stalls:
            self.upload_stalls -= 1
            await asyncio.sleep(3600)
        first = int(request.headers["Content-Range"].partition("-")[0])
        if first != len(self.uploads[upload]):
            return web.Response(status=416)
        cut = self.upload_cuts.pop(0) if self.upload_cuts else 0
        async for data in request.content.iter_chunked(4096):
            self.uploads[upload] += data
            self.received_bytes += len(data)
            self.on_event()
            if cut and len(self.uploads[upload]) >= cut and request.transport is not None:
                if self.forgets:
                    self.forgets -= 1
                    del self.uploads[upload]
                request.transport.abort()
                return web.Response(status=500)
        return self._upload_status(request, upload, 202)

    def _upload_status(self, request: web.Request, upload: str, status: int) -> web.Response:
        repository = re.sub(r"/blobs/uploads/.*", "", request.path)
        path = f"{repository}/blobs/uploads/{upload}?state=a%2Bb"
        received = len(self.uploads[upload])
        headers = {
            "Location": path if self.is_relative else f"{self.url}{path}",
            "Range": f"0-{max(0, received - 1)}",
        }
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def serving(registry: FakeRegistry, ssl_context: Any = None) -> AsyncIterator[FakeRegistry]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", r"/{path:.*}", registry.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", registry.port, ssl_context=ssl_context)
    await site.start()
    assert site._server is not None
    registry.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    registry.scheme = "https" if ssl_context else "http"
    try:
        yield registry
    finally:
        await runner.cleanup()
