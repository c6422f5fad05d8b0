"""Many bytes past the event loop: a connection and a thread of their own.

The event loop finds the address and connects, since only it can leave that at any moment. From
there a thread speaks TLS and HTTP on a plain blocking socket: what arrives goes from the kernel
into one buffer that is used again and again, and no other request waits for it. Whoever wants the
thread to stop shuts the connection down, which ends every call that waits for it.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Mapping

import aiohappyeyeballs
from multidict import CIMultiDict
from yarl import URL

from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.endpoint import Credentials, proxy_for
from llamawire.engine.store.registry.errors import RegistryUnreachable
from llamawire.engine.store.registry.failures import failures, shown
from llamawire.engine.store.registry.limits import TransferLimits, finite

__all__ = ["Wire", "WireResponse"]

# After a call that took longer, the next ones take what is there and wait for no more.
PATIENCE_S = 0.05
# What a slow line is asked for at a time.
SLOW_BYTES = 64 << 10
TUNNEL_HEAD_BYTES_MAX = 16 << 10


class Line:
    """A connection, of which any thread may `interrupt` the use. `close` it at the end."""

    def __init__(self, connected: socket.socket, timeout_s: float | None) -> None:
        connected.settimeout(timeout_s)
        self.socket = connected
        # A name of our own for the same connection: TLS puts another object in the socket's place.
        self._handle = socket.socket(fileno=os.dup(connected.fileno()))

    def interrupt(self) -> None:
        """Ends all calls that wait for this connection, now and later."""
        try:
            self._handle.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # The other end was faster.

    def close(self) -> None:
        self._handle.close()
        self.socket.close()


class WireResponse:
    """The answer to a GET. Its body is read by one thread; `close` it at the end."""

    method = "GET"

    def __init__(
        self, url: URL, line: Line, response: http.client.HTTPResponse, threads: DiskThreads
    ) -> None:
        self.url = url
        self.threads = threads
        self.status = response.status
        self.headers = CIMultiDict(response.getheaders())
        # None if only the end of the body says how long it is.
        self.content_length = response.length
        self._line = line
        self._response = response
        self._is_slow = True
        self._is_interrupted = False

    def read_into(self, view: memoryview) -> int:
        """Blocks for the next bytes and gives their number: 0 at the end, however early it is.

        A fast line fills all of `view`. Raises RegistryUnreachable, also after `interrupt`.
        """
        with failures(f'Get "{shown(self.url)}"', self.url):
            count = self._take(view) if self._is_slow else self._fill(view)
        if self._is_interrupted:
            # The bytes may be those of a TLS connection whose end is missing.
            raise RegistryUnreachable(f'Get "{shown(self.url)}": interrupted')
        return count

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body, for whom it does not matter how it comes."""
        view = memoryview(bytearray(SLOW_BYTES))
        while count := await self.threads.run_interruptibly(self.interrupt, self.read_into, view):
            yield bytes(view[:count])

    def interrupt(self) -> None:
        """Ends `read_into` in another thread. For any thread."""
        self._is_interrupted = True
        self._line.interrupt()

    def close(self) -> None:
        self._response.close()
        self._line.close()

    def _take(self, view: memoryview) -> int:
        data = self._response.read1(min(len(view), SLOW_BYTES))
        view[: len(data)] = data
        self._is_slow = len(data) < min(len(view), SLOW_BYTES)
        return len(data)

    def _fill(self, view: memoryview) -> int:
        began = time.monotonic()
        count = self._response.readinto(view)
        self._is_slow = time.monotonic() - began > PATIENCE_S
        return count


class Wire:
    """Asks for large bodies. `tls` is for tests; without it the system's certificates count."""

    def __init__(
        self, limits: TransferLimits, headers: Mapping[str, str], tls: ssl.SSLContext | None
    ) -> None:
        self._threads = DiskThreads(limits.receivers, "llamawire-receive")
        self._limits = limits
        self._headers = headers
        self._verified = tls
        self._unverified: ssl.SSLContext | None = None

    @staticmethod
    def reaches(url: URL) -> bool:
        """Whether nothing is on the way that only the event loop can speak to."""
        proxy = proxy_for(url)
        return url.scheme in ("http", "https") and (proxy is None or proxy.scheme == "http")

    async def get(
        self, url: URL, headers: Mapping[str, str], *, verify_tls: bool = True
    ) -> WireResponse:
        """The head of the answer; the caller has to close it. Raises RegistryUnreachable."""
        proxy = proxy_for(url)
        with failures(f'Get "{shown(url)}"', url):
            line = await self._connected(proxy or url)
            try:
                context = self._context(verify_tls) if url.scheme == "https" else None
                headers = {**self._headers, **headers}
                response = await self._threads.run_interruptibly(
                    line.interrupt, _ask, line, url, proxy, headers, context
                )
                return WireResponse(url, line, response, self._threads)
            except BaseException:
                line.close()
                raise

    def close(self) -> None:
        self._threads.close()

    async def _connected(self, url: URL) -> Line:
        return await asyncio.wait_for(self._connect(url), self._limits.connect_timeout_s)

    async def _connect(self, url: URL) -> Line:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        connected = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=self._limits.connect_stagger_s, loop=loop
        )
        return Line(connected, finite(self._limits.stall_timeout_s))

    def _context(self, verify_tls: bool) -> ssl.SSLContext:
        if verify_tls:
            self._verified = self._verified or ssl.create_default_context()
            return self._verified
        if self._unverified is None:
            self._unverified = ssl.create_default_context()
            self._unverified.check_hostname = False
            self._unverified.verify_mode = ssl.CERT_NONE
        return self._unverified


def _ask(
    line: Line,
    url: URL,
    proxy: URL | None,
    headers: Mapping[str, str],
    context: ssl.SSLContext | None,
) -> http.client.HTTPResponse:
    """Blocks for TLS, the request, and the head of its answer."""
    login = {} if proxy is None or proxy.user is None else _login(proxy, "Proxy-Authorization")
    # Credentials in an address are for the host that it names, as everywhere.
    if url.user is not None:
        headers = {**_login(url, "Authorization"), **headers}
    target = url.raw_path_qs
    if context is not None:
        if proxy is not None:
            _open_tunnel(line.socket, url, login)
        line.socket = context.wrap_socket(line.socket, server_hostname=url.host)
    elif proxy is not None:
        target, headers = f"{url.scheme}://{_authority(url)}{target}", {**headers, **login}
    connection = http.client.HTTPConnection(url.host or "")
    connection.sock = line.socket
    connection.request("GET", target, headers={
        "Host": _authority(url), "Connection": "close", **headers
    })  # fmt: skip
    return connection.getresponse()


def _open_tunnel(plain: socket.socket, url: URL, login: Mapping[str, str]) -> None:
    """Asks a proxy to hand on what comes after. Raises OSError in Go's words."""
    host = f"{url.host_subcomponent}:{url.port}"
    lines = [f"CONNECT {host} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in login.items()]
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    # One byte at a time, since the one after the head is for TLS.
    while not head.endswith(b"\r\n\r\n"):
        byte = plain.recv(1)
        if not byte or len(head) >= TUNNEL_HEAD_BYTES_MAX:
            raise ConnectionError("the proxy does not open a tunnel")
        head += byte
    status = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")[2]
    if not status.startswith("2"):
        raise ConnectionError(f"proxyconnect tcp: {status}")


def _login(url: URL, header: str) -> dict[str, str]:
    return {header: Credentials(url.user or "", url.password or "").basic}


def _authority(url: URL) -> str:
    """The host as requests name it, with its port unless that is the scheme's own."""
    return url.host_port_subcomponent or ""
