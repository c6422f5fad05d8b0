"""Pull and push for the models of one library."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from llamawire.engine.store.create_request import (
    CreateRequest,
    Progress,
    check_request,
    check_supported,
)
from llamawire.engine.store.errors import InvalidName, ModelNotFound
from llamawire.engine.store.library import Library
from llamawire.engine.store.names import ModelName, parse_source
from llamawire.engine.store.registry.auth import Auth, SignIn
from llamawire.engine.store.registry.client import RegistryClient
from llamawire.engine.store.registry.disk import DiskThreads
from llamawire.engine.store.registry.downloads import Downloads, free_bytes
from llamawire.engine.store.registry.endpoint import Credentials, Endpoint, Mirrors
from llamawire.engine.store.registry.errors import RegistryUnreachable
from llamawire.engine.store.registry.http import Http, discard
from llamawire.engine.store.registry.identity import KeyFile
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.pull import pull
from llamawire.engine.store.registry.push import find, push

__all__ = ["Registry", "RegistrySettings"]

# For the hash and the flush of some downloads at a time, and for small files beside them.
DISK_THREADS_MIN = 4


@dataclass(frozen=True)
class RegistrySettings:
    """What an operator can choose."""

    mirrors: tuple[str, ...] = ()
    """`[HOST=]URL` each: asked before the registry of that host, which is Ollama's if not given."""
    token_hosts: tuple[str, ...] = ()
    """Hosts that may hand out tokens for registries on other hosts."""
    key_file: Path = Path("~/.ollama/id_ed25519")
    """The key that signs us in; made when it is first asked for."""
    user_agent: str = "llamawire"
    """What we call ourselves."""
    limits: TransferLimits = field(default_factory=TransferLimits)
    """Of transfers."""


class Registry:
    """Fetches and sends models. For one event loop; `close` at the end.

    Pulls of the same file share one download. Raises ValueError for a mirror that is no address.
    """

    def __init__(
        self,
        library: Library,
        settings: RegistrySettings,
        *,
        tls: ssl.SSLContext | None = None,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        limits = settings.limits
        self._library = library
        self._limits = limits
        self._mirrors = Mirrors(settings.mirrors)
        hosts = frozenset(host.lower() for host in settings.token_hosts)
        self._sign_in = SignIn(KeyFile(settings.key_file.expanduser()), hosts)
        self._http = Http(limits, settings.user_agent, tls)
        self._disk = DiskThreads(max(DISK_THREADS_MIN, limits.streams + 1))
        self._downloads = Downloads(library.blobs, self._disk, limits, free_bytes)

    async def pull(
        self, text: str, *, insecure: bool = False, credentials: Credentials | None = None
    ) -> AsyncGenerator[Progress, None]:
        """Fetches a model, telling of each step; leaving the iterator early cancels it.

        `insecure` allows plain HTTP and certificates that nobody has signed. Raises InvalidName
        before the first step, and what `pull.pull` raises.
        """
        requested = ModelName.parse(parse_source(text).stored)
        name = await self._canonical(requested)
        endpoint = Endpoint.of_name(name, credentials)
        yield Progress("pulling manifest")
        endpoints = (*self._mirrors.of_host(name.host), await self._reached(endpoint, insecure))
        clients = [self._client(each, name) for each in endpoints]
        async with aclosing(pull(self._library, self._downloads, clients, name)) as lines:
            async for line in lines:
                yield line

    async def push(
        self, text: str, *, insecure: bool = False, credentials: Credentials | None = None
    ) -> AsyncGenerator[Progress, None]:
        """Sends a model, telling of each step; leaving the iterator early cancels it.

        Raises InvalidName, ModelNotFound, and what `push.push` raises.
        """
        yield Progress("retrieving manifest")
        try:
            name = await self._canonical(_push_name(text))
            entry = await asyncio.to_thread(find, self._library, name)
        except (InvalidName, ModelNotFound):
            yield Progress("couldn't retrieve manifest")
            raise
        endpoint = await self._reached(Endpoint.of_name(name, credentials), insecure)
        entry = replace(entry, name=name)
        client = self._client(endpoint, name)
        notes = self._library.blobs.folder
        async with aclosing(push(entry, client, self._disk, self._limits, notes)) as lines:
            async for line in lines:
                yield line

    async def pull_base(self, request: CreateRequest) -> AsyncGenerator[Progress, None]:
        """Fetches the model that a create is to start from, unless it is there.

        Raises what `create` raises for a request that nothing can be made of, and what `pull` does.
        """
        check_request(request)
        ModelName.parse(request.model)
        check_supported(request)
        base = parse_source(request.base).base
        if await asyncio.to_thread(self._has, ModelName.parse(base)):
            return
        async with aclosing(self.pull(base)) as lines:
            async for line in lines:
                yield line

    async def close(self) -> None:
        """Ends all transfers; downloads go on from where they were, the next time."""
        await self._downloads.close()
        await self._http.close()
        self._disk.close()

    def _has(self, name: ModelName) -> bool:
        try:
            self._library.entry(name)
        except ModelNotFound:
            return False
        return True

    async def _canonical(self, name: ModelName) -> ModelName:
        """The name as the library spells it, which knows nothing of schemes."""
        stored = await asyncio.to_thread(self._library.canonical, name)
        return replace(stored, scheme=name.scheme)

    def _client(self, endpoint: Endpoint, name: ModelName) -> RegistryClient:
        repository = endpoint.repository(name.namespace, name.model)
        auth = Auth(self._http, endpoint, self._sign_in)
        return RegistryClient(self._http, endpoint, repository, auth)

    async def _reached(self, endpoint: Endpoint, insecure: bool) -> Endpoint:
        """The endpoint; an insecure one is spoken to in the way that it answers."""
        if not insecure:
            return endpoint
        plain, unverified = endpoint.over("http"), endpoint.over("https")
        if await self._answers(plain) or not await self._answers(unverified):
            return plain
        return unverified

    async def _answers(self, endpoint: Endpoint) -> bool:
        """Whether HTTP is spoken there. TLS servers answer plain HTTP with a 400, if at all."""
        try:
            response = await self._http.send("GET", endpoint.url / "v2" / "", verify_tls=False)
        except RegistryUnreachable:
            return False
        await discard(response)
        return response.status != 400


def _push_name(text: str) -> ModelName:
    try:
        return ModelName.parse(text)
    except InvalidName as error:
        raise InvalidName(text, f"unqualified name: {text}") from error
