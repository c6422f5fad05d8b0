"""Addresses: names, mirrors, proxies."""

from __future__ import annotations

import pytest
from yarl import URL

from engine.store.registry.conftest import Open, Start, lines_of
from engine.store.registry.fake_registry import FakeRegistry
from llamawire.engine.store import ModelName
from llamawire.engine.store.registry import RegistryError
from llamawire.engine.store.registry.endpoint import Endpoint, Mirrors, proxy_for


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("m", "https://registry.ollama.ai/v2/library/m"),
        ("hf.co/user/repo:Q4_K_M", "https://hf.co/v2/user/repo"),
        ("host:5000/ns/m", "https://host:5000/v2/ns/m"),
        ("http://host:5000/ns/m", "http://host:5000/v2/ns/m"),
        ("ftp://host/ns/m", "https://host/v2/ns/m"),
    ],
)
def test_names_tell_the_registry(name: str, url: str) -> None:
    parsed = ModelName.parse(name)
    endpoint = Endpoint.of_name(parsed)
    assert str(endpoint.repository(parsed.namespace, parsed.model)) == url
    assert endpoint.verify_tls


def test_mirrors_are_of_one_host() -> None:
    mirrors = Mirrors(["https://a", "HF.co=http://me:pw@b:5/deep/", "https://c/?x=1"])
    assert [str(each.url) for each in mirrors.of_host("registry.ollama.ai")] == [
        "https://a", "https://c/",
    ]  # fmt: skip
    (mirror,) = mirrors.of_host("hf.co")
    assert str(mirror.repository("u", "r")) == "http://b:5/deep/v2/u/r"
    assert mirror.credentials is not None
    assert "pw" not in repr(mirror)
    assert mirrors.of_host("other") == []


@pytest.mark.parametrize("text", ["a", "ftp://a", "http://", "x=y"])
def test_other_mirrors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        Mirrors([text])


def test_proxies_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "proxy.example:3128")
    environment.setenv("http_proxy", "http://plain.example:8080")
    environment.setenv("NO_PROXY", "inside.example,.corp.example:5000")
    assert proxy_for(URL("https://a.example")) == URL("http://proxy.example:3128")
    assert proxy_for(URL("http://a.example")) == URL("http://plain.example:8080")
    for host in ("inside.example", "localhost", "127.0.0.9:5000", "[::1]:5000"):
        assert proxy_for(URL(f"https://{host}")) is None


async def test_a_proxy_is_used(
    environment: pytest.MonkeyPatch, start: Start, open_registry: Open
) -> None:
    proxy: FakeRegistry = await start()
    environment.setenv("HTTP_PROXY", f"http://me:secret@{proxy.host}")
    with pytest.raises(RegistryError, match="file does not exist"):
        await lines_of(open_registry().pull("http://far.example/library/m"))
    assert proxy.requests[0].headers["Host"] == "far.example"
    assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic bWU6c2VjcmV0"
