"""What a hostile registry may put into its headers and answers: never more than a RegistryError."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from llamawire.engine.store import InvalidDigest, ModelName
from llamawire.engine.store.registry import RegistryError
from llamawire.engine.store.registry.auth import Auth, SignIn, read_token
from llamawire.engine.store.registry.challenge import Challenge, parse_challenge
from llamawire.engine.store.registry.client import RegistryClient, upload_location
from llamawire.engine.store.registry.endpoint import Endpoint
from llamawire.engine.store.registry.http import Http, Response
from llamawire.engine.store.registry.identity import KeyFile
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.pull import read_manifest

NAME = ModelName.parse("h/n/m")
OWN = Endpoint(URL("https://registry.example:5000"))

# Bits that headers are made of, so that most examples get past the first check.
pieces = st.sampled_from(
    ["Bearer ", "basic", "realm=", "service=", 'scope="', '"', ",", " ", "=", "\\", "a", "://",
     "http", "https", "registry.example", ":5000", ":99999", "/v2/", "//", "@", "[", "]", "[::1]",
     "%", "%2f", "%zz", "?", "#", "\t", "..", "xn--", "\u00e9", "\ud800", "\0", "file:///"]
)  # fmt: skip
headers = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)


@dataclass(frozen=True)
class Answer:
    """As much of a response as decides where it leads."""

    url: URL
    headers: CIMultiDict[str]


def answer(**values: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return cast("Response", Answer(OWN.url / "v2" / "x", CIMultiDict(named)))


@pytest.fixture(scope="module")
def auth() -> Auth:
    http = Http(TransferLimits(), "tests")
    return Auth(http, OWN, SignIn(KeyFile(Path("/nowhere")), frozenset({"tokens.example"})))


@given(st.lists(headers, max_size=3))
def test_challenges(texts: list[str]) -> None:
    found = parse_challenge(texts)
    assert found.scheme in ("", "basic", "bearer")
    assert all(isinstance(value, str) for value in found.parameters.values())


@pytest.mark.parametrize("text", ["a", 'a="', 'a=" ', 'a="x b, ', " ", "a=,"])
def test_a_long_challenge_takes_no_time(text: str) -> None:
    # If time grew with the square of the length, each of them would take minutes.
    assert parse_challenge([f"Bearer {text * 200_000}"]).realm == ""


@given(headers)
def test_realms(auth: Auth, realm: str) -> None:
    with contextlib.suppress(RegistryError):
        url, _ = auth._token_request(Challenge("bearer", {"realm": realm, "scope": realm}))
        # What is signed goes to the registry itself, or to nobody.
        assert URL(url, encoded=True).raw_authority.lower() in (
            "registry.example:5000",
            "tokens.example",
        )


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["token", "access_token"]), inner, max_size=3),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_token_answers(data: bytes) -> None:
    with contextlib.suppress(RegistryError):
        assert read_token(data).isprintable()


@given(headers, headers)
def test_locations(text: str, other: str) -> None:
    client = RegistryClient(cast(Any, None), OWN, OWN.repository("n", "m"), cast(Any, None))
    with contextlib.suppress(RegistryError):
        url = client.redirected(answer(Location=text))
        assert url.scheme in ("http", "https")
        assert url.host
        assert url.port is not None
    with contextlib.suppress(RegistryError):
        upload_location(answer(Location=text, Docker_Upload_Location=other))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
    | st.sampled_from(["sha256:" + "a" * 64, "sha256-" + "A" * 64, "sha256:../../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["config", "layers", "digest", "size", "mediaType"]) | st.text(max_size=3),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()))
def test_manifests(data: bytes) -> None:
    with contextlib.suppress(RegistryError, InvalidDigest):
        manifest = read_manifest(data, NAME)
        assert all(
            layer.digest.startswith("sha256:") and layer.size >= 0 for layer in manifest.blobs
        )
