"""HTTP as registries need it: one pool of connections, and failures with a name.

Redirects are not followed here, since where they lead decides what may be said there; nothing is
taken from a netrc file, and bodies are never unpacked, since their bytes are what is hashed.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from llamawire.engine.store.registry.endpoint import Credentials, proxy_for
from llamawire.engine.store.registry.errors import (
    NotInRegistry,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.failures import failures, shown
from llamawire.engine.store.registry.limits import TransferLimits, finite
from llamawire.engine.store.registry.wire import Wire, WireResponse

__all__ = ["Body", "Http", "Response", "body_of", "check", "discard", "text_of"]

Body = bytes | AsyncIterable[bytes]
Response = aiohttp.ClientResponse | WireResponse

# As much of a refusal as is told, and as much of an unwanted body as is read away.
ERROR_BYTES_MAX = 4096
READ_BUFFER_BYTES = 1 << 20


class Http:
    """Sends requests. `tls` is for tests; without it the system's certificates count."""

    def __init__(
        self, limits: TransferLimits, user_agent: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._limits = limits
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._tls = tls
        self._wire = Wire(limits, self._headers, tls)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        verify_tls: bool = True,
        answer_timeout_s: float | None = None,
        wanted_bytes: int = 0,
    ) -> Response:
        """One request, and the head of its answer, which the caller has to close.

        Raises RegistryUnreachable. Silence for `answer_timeout_s` counts as such. Who GETs
        `wanted_bytes`, and they are many, has them past the event loop.
        """
        if wanted_bytes >= self._limits.wire_bytes_min and self._wire.reaches(url):
            return await self._wire.get(url, headers or {}, verify_tls=verify_tls)
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._limits.connect_timeout_s,
            sock_read=finite(answer_timeout_s or self._limits.stall_timeout_s),
        )
        with failures(f'{method.capitalize()} "{shown(url)}"', url):
            return await self._open().request(
                method,
                url,
                data=body,
                timeout=timeout,
                ssl=(self._tls or True) if verify_tls else False,
                allow_redirects=False,
                **_through_proxy(url, headers or {}),
            )

    async def close(self) -> None:
        self._wire.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # How many connections there are is the transfers' matter.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                headers=self._headers,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_BUFFER_BYTES,
            )
        return self._session


async def body_of(response: Response) -> AsyncGenerator[bytes, None]:
    """The body in pieces as they come. Raises RegistryUnreachable if it ends early or stalls."""
    if isinstance(response, WireResponse):
        async for data in response.pieces():
            yield data
        return
    with failures(f'Get "{shown(response.url)}"', response.url):
        async for data in response.content.iter_any():
            yield data


async def text_of(response: Response, bytes_max: int = ERROR_BYTES_MAX) -> bytes:
    """The body's first `bytes_max` bytes, and no more of it."""
    data = b""
    async with contextlib.aclosing(body_of(response)) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) >= bytes_max:
                break
    return data[:bytes_max]


async def check(response: Response) -> None:
    """Raises NotInRegistry, RegistryRefused or RegistryMisbehaved unless it is a success."""
    if response.status // 100 == 2:
        return
    if response.status == 404:
        raise NotInRegistry
    if response.status >= 400:
        raise RegistryRefused(response.status, (await text_of(response)).decode("utf-8", "replace"))
    raise RegistryMisbehaved(f"unexpected status code {response.status}")


async def discard(response: Response) -> None:
    """Is done with a response, in a way that keeps its connection if little of it is left."""
    if isinstance(response, WireResponse):
        return response.close()
    try:
        if response.method != "HEAD" and 0 < (response.content_length or 0) <= ERROR_BYTES_MAX:
            await text_of(response)
    except RegistryUnreachable:
        pass
    finally:
        response.close() if not response.content.at_eof() else response.release()


def _through_proxy(url: URL, headers: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a request that may have to go through a proxy."""
    proxy = proxy_for(url)
    if proxy is None or proxy.user is None:
        return {"headers": headers, "proxy": proxy}
    login = {"Proxy-Authorization": Credentials(proxy.user, proxy.password or "").basic}
    proxy = proxy.with_user(None)
    if url.scheme == "https":
        # The proxy hears only what is said before the tunnel.
        return {"headers": headers, "proxy": proxy, "proxy_headers": login}
    return {"headers": {**headers, **login}, "proxy": proxy}
