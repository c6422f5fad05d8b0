"""Where registries are: addresses from names, mirrors and the environment's proxies."""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

# yarl is aiohttp's type for addresses; only it can say that one is not to be quoted again.
from yarl import URL

from llamawire.engine.store.errors import InvalidName
from llamawire.engine.store.names import DEFAULT_HOST, ModelName

__all__ = ["Credentials", "Endpoint", "Mirrors", "proxy_for", "same_host"]

SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Credentials:
    """A name and a password for a registry that asks for them."""

    username: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """As HTTP's headers for this have it."""
        pair = f"{self.username}:{self.password}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True)
class Endpoint:
    """One registry. `url` may have a path, below which `/v2/` lies; it never has a user."""

    url: URL
    credentials: Credentials | None = None
    verify_tls: bool = True

    @classmethod
    def of_name(cls, name: ModelName, credentials: Credentials | None = None) -> Endpoint:
        """The registry that a name tells: https, unless the name itself says http.

        Raises InvalidName for a host that names allow and addresses do not, such as `a:b:c`.
        """
        scheme = name.scheme if name.scheme in SCHEMES else "https"
        try:
            return cls(URL(f"{scheme}://{name.host}"), credentials)
        except ValueError as error:
            raise InvalidName(name.full) from error

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Raises ValueError unless `text` is the address of a registry."""
        url = URL(text)
        if url.scheme not in SCHEMES or not url.host:
            raise ValueError(f"{text!r} is not of the form http(s)://host[:port]")
        credentials = Credentials(url.user, url.password or "") if url.user else None
        return cls(url.with_user(None).with_query(None).with_fragment(None), credentials)

    def over(self, scheme: str) -> Endpoint:
        """The same place, spoken to without any proof of who it is."""
        port = self.url.explicit_port
        return replace(self, url=self.url.with_scheme(scheme).with_port(port), verify_tls=False)

    def repository(self, namespace: str, model: str) -> URL:
        path = self.url.raw_path.rstrip("/")
        return self.url.with_path(f"{path}/v2/{namespace}/{model}", encoded=True)


class Mirrors:
    """Registries to ask before the one that a name tells.

    Each text is `[HOST=]URL`; without a host it is a mirror of Ollama's registry. Raises ValueError
    for anything else.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._endpoints: dict[str, list[Endpoint]] = {}
        for text in texts:
            host, separator, url = text.partition("=")
            if not separator or "/" in host:
                host, url = DEFAULT_HOST, text
            self._endpoints.setdefault(host.lower(), []).append(Endpoint.parse(url))

    def of_host(self, host: str) -> list[Endpoint]:
        return self._endpoints.get(host.lower(), [])


def same_host(one: URL, other: URL) -> bool:
    """Whether what was said to the one in confidence may be said to the other."""
    return one.origin() == other.origin()


def proxy_for(url: URL) -> URL | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY ask for; none on the way to ourselves."""
    host = url.host or ""
    if _is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{url.port}"):
        return None
    proxy = urllib.request.getproxies().get(url.scheme)
    if not proxy:
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
