"""From a path to a handler, with the answers of upstream's router where there is none."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import quote

from aiohttp import web

__all__ = ["Handler", "Router", "path_parameter"]

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The order in which upstream registered its methods; `Allow` keeps it.
_METHODS = ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE")


def path_parameter(request: web.Request) -> str:
    """The last part of a path that was registered with `:`."""
    return request.path.rpartition("/")[2]


class Router:
    """Paths are compared letter for letter after `%xx` is decoded; the query is not looked at."""

    def __init__(self) -> None:
        self._routes: dict[str, Mapping[str, Handler]] = {}
        self._prefixes: dict[str, Mapping[str, Handler]] = {}

    def add(self, path: str, **handlers: Handler) -> None:
        """Handlers by method; a path `/a/:name` takes one part of any content at its end."""
        prefix, colon, _ = path.partition(":")
        (self._prefixes if colon else self._routes)[prefix] = handlers

    def allowed(self, path: str) -> str:
        """The methods of a path for the header `Allow`; empty if there is no such path."""
        handlers = self._find(path)
        return ", ".join(method for method in _METHODS if method in handlers)

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        handlers = self._find(path)
        if request.method in handlers:
            return await handlers[request.method](request)
        if handlers:
            return _text(405, "405 method not allowed", {"Allow": self.allowed(path)})
        for other in (path[:-1] if path.endswith("/") else "", _clean(path)):
            if request.method in self._find(other):
                return _redirect(request, other)
        return _text(404, "404 page not found")

    def _find(self, path: str) -> Mapping[str, Handler]:
        if path in self._routes:
            return self._routes[path]
        head, slash, tail = path.rpartition("/")
        return self._prefixes.get(head + slash, {}) if tail else {}


def _clean(path: str) -> str:
    """Without empty parts, `.` and `..`, and without a slash at the end."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _redirect(request: web.Request, path: str) -> web.Response:
    query = request.rel_url.raw_query_string
    target = quote(path, safe="/:") + (f"?{query}" if query else "")
    if request.method != "GET":
        return web.Response(status=307, headers={"Location": target})
    return web.Response(
        status=301,
        text=f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n',
        headers={"Location": target, "Content-Type": "text/html; charset=utf-8"},
    )


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=text.encode(),
        headers={"Content-Type": "text/plain", **(headers or {})},
    )
