"""The aiohttp application: routes, and what surrounds every request.

From the outside in: origin (cors.py), Host header (host.py), errors, limits (limits.py), key
(credentials.py), route.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from . import anthropic, host, openai
from .blobs import BlobHandlers
from .cors import Cors
from .credentials import ask_before_bodies, carry_authorization, with_authorization
from .dialect import MESSAGES_PATH, RESPONSES_PATH, UNCACHED
from .embedding import EmbeddingHandlers
from .errors import RestError
from .generation import GenerationHandlers
from .gojson import DecodeError
from .limits import limit_requests, watch_bodies
from .models import ModelHandlers
from .ndjson import json_response
from .routing import Handler, Router
from .server import ServerHandlers
from .settings import RestSettings
from .show import ShowHandlers
from .stubs import Stubs
from .times import UtcStamp
from .tokens import TokenHandlers
from .transfers import TransferHandlers

__all__ = ["LISTENER", "SETTINGS", "Listener", "create_app"]

logger = logging.getLogger("llamawire.rest")


@dataclass
class Listener:
    """Where the application listens; `serve_app` fills it in."""

    is_loopback: bool = True


LISTENER = web.AppKey("LISTENER", Listener)
SETTINGS = web.AppKey("SETTINGS", RestSettings)


def create_app(
    stubs: Stubs,
    settings: RestSettings | None = None,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
) -> web.Application:
    """The REST API over an engine. Serve it with `serve_app`, which sets what aiohttp needs for a
    hang-up to reach the engine. Raises ValueError for settings that contradict themselves.
    """
    settings = settings or RestSettings()
    stubs = with_authorization(stubs)
    router = _routes(stubs, UtcStamp(clock_ns))
    cors = Cors(settings.origins)
    app = web.Application(
        middlewares=[
            _check_origin(cors),
            _check_host(router),
            _answer_errors(settings),
            limit_requests(settings),
            watch_bodies(settings),
            carry_authorization,
            ask_before_bodies(stubs),
        ],
        client_max_size=settings.body_bytes_max,
    )
    app[LISTENER] = Listener()
    app[SETTINGS] = settings
    # One route for all paths, line ends in them included: the router below has Go's answers.
    app.router.add_route("*", r"/{path:[\s\S]*}", router.dispatch)
    app.on_response_prepare.append(_finish_headers(cors))
    return app


def _routes(stubs: Stubs, stamp: UtcStamp) -> Router:
    generation = GenerationHandlers(stubs, stamp)
    embedding = EmbeddingHandlers(stubs)
    models = ModelHandlers(stubs, stamp)
    blobs = BlobHandlers(stubs)
    server = ServerHandlers(stubs)
    shown = ShowHandlers(stubs)
    transfers = TransferHandlers(stubs)
    tokens = TokenHandlers(stubs)
    compatible = openai.OpenAIHandlers(stubs, stamp)
    embedded = openai.EmbeddingHandlers(stubs)
    anthropics = anthropic.AnthropicHandlers(stubs)
    router = Router()
    router.add("/", GET=server.root, HEAD=server.root)
    router.add("/healthz", GET=server.healthz, HEAD=server.healthz)
    router.add("/readyz", GET=server.readyz, HEAD=server.readyz)
    router.add("/metrics", GET=server.metrics)
    router.add("/api/version", GET=server.version, HEAD=server.version)
    router.add("/api/status", GET=server.status)
    router.add("/api/generate", POST=generation.generate)
    router.add("/api/chat", POST=generation.chat)
    router.add("/api/tokenize", POST=tokens.tokenize)
    router.add("/api/detokenize", POST=tokens.detokenize)
    router.add("/api/embed", POST=embedding.embed)
    router.add("/api/embeddings", POST=embedding.embeddings)
    router.add("/api/rerank", POST=embedding.rerank)
    router.add("/api/tags", GET=models.tags, HEAD=models.tags)
    router.add("/api/ps", GET=models.ps)
    router.add("/api/create", POST=models.create)
    router.add("/api/show", POST=shown.show)
    router.add("/api/copy", POST=models.copy)
    router.add("/api/pull", POST=transfers.pull)
    router.add("/api/push", POST=transfers.push)
    router.add("/api/delete", DELETE=models.delete)
    router.add("/api/blobs/:digest", POST=blobs.upload, HEAD=blobs.head)
    router.add("/v1/chat/completions", POST=compatible.chat_completions)
    router.add("/v1/completions", POST=compatible.completions)
    router.add(RESPONSES_PATH, POST=compatible.responses)
    router.add("/v1/embeddings", POST=embedded.embeddings)
    router.add("/v1/rerank", POST=embedded.rerank)
    router.add(MESSAGES_PATH, POST=anthropics.messages)
    router.add("/v1/models", GET=compatible.models)
    router.add("/v1/models/:model", GET=compatible.model)
    return router


def _check_origin(cors: Cors) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN, "")
        if not cors.applies(origin, request.headers.get(hdrs.HOST, "")):
            return await handler(request)
        if not cors.allows(origin):
            return web.Response(status=403)
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers=cors.preflight_headers(origin))
        return await handler(request)

    return middleware


def _check_host(router: Router) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.app[LISTENER].is_loopback:
            return await handler(request)
        header = request.headers.get(hdrs.HOST, "")
        if not host.is_allowed_host(header):
            return web.Response(status=403)
        if request.method == hdrs.METH_OPTIONS and header and not host.is_ip(header):
            allowed = router.allowed(request.path)
            return web.Response(status=204, headers={"Allow": allowed} if allowed else None)
        return await handler(request)

    return middleware


def _answer_errors(settings: RestSettings) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = _error_form(request.path)
        try:
            return await handler(request)
        except (RestError, DecodeError) as error:
            return answer(error)
        except web.HTTPRequestEntityTooLarge:
            limit = settings.body_bytes_max
            text = f"the request body is larger than the limit of {limit} bytes"
            return answer(RestError(413, text))
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            # Behind what was sent already there is no place for another answer; aiohttp then logs
            # the failure and closes the connection.
            if request.writer.output_size:
                raise
            logger.exception("%s %s has failed", request.method, request.path)
            return answer(RestError(500, "internal error"))

    return middleware


def _error_form(path: str) -> Callable[[RestError | DecodeError], web.Response]:
    """Each dialect has its own."""
    if path == MESSAGES_PATH:
        return anthropic.error_response
    return openai.error_response if path.startswith("/v1/") else _error_response


def _error_response(error: RestError | DecodeError) -> web.Response:
    if isinstance(error, DecodeError):
        return json_response({"error": str(error)}, status=400)
    return json_response({"error": error.text}, status=error.status, headers=error.headers)


def _finish_headers(
    cors: Cors,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Runs just before the head of any answer is written, errors and streams among them."""

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.pop(hdrs.SERVER, None)
        if request.path in (MESSAGES_PATH, RESPONSES_PATH):
            for name, value in UNCACHED.items():
                response.headers.setdefault(name, value)
        origin = request.headers.get(hdrs.ORIGIN, "")
        if cors.applies(origin, request.headers.get(hdrs.HOST, "")) and cors.allows(origin):
            for name, value in cors.headers(origin).items():
                response.headers.setdefault(name, value)

    return finish
