"""Signing in: the golden signatures, the key file, and who is told what."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.store.registry.conftest import LIMITS, Open, Start, lines_of
from engine.store.registry.fake_registry import FakeRegistry
from llamawire.engine.store.registry import (
    Credentials,
    Registry,
    RegistryMisbehaved,
    RegistryUnauthorized,
    ed25519,
)
from llamawire.engine.store.registry.auth import Auth, SignIn, signed_text
from llamawire.engine.store.registry.challenge import parse_challenge
from llamawire.engine.store.registry.endpoint import Endpoint
from llamawire.engine.store.registry.http import Http
from llamawire.engine.store.registry.identity import Identity, KeyFile

TEXT = "application/vnd.ollama.image.license"
SEED = bytes(range(32))
PUBLIC = "AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
CHALLENGE = (
    'Bearer realm="https://registry.example/v2/token",service="registry.example",'
    'scope="repository:library/m:pull"'
)
TOKEN_URL = (
    "https://registry.example/v2/token?nonce=AAAAAAAAAAAAAAAAAAAAAA"
    "&scope=repository%3Alibrary%2Fm%3Apull&service=registry.example&ts=1700000000"
)
EMPTY = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
SIGNATURE = (
    "OkMECQkexdt+bgZs4gaXmLJEn6TLP8mw5fv4Q648ipEPwlf4qdT0D6fqXB7vPoiDrEFNJUJo9fHaznaMeAOkCQ=="
)


def test_the_golden_signature() -> None:
    text = signed_text("GET", TOKEN_URL)
    assert text == f"GET,{TOKEN_URL},{EMPTY}"
    assert Identity(SEED).authorization(text) == f"{PUBLIC}:{SIGNATURE}"
    assert (
        Identity(SEED)
        .authorization("POST,/api/me?ts=1700000000")
        .endswith(
            ":rIiY96jUDn3p5ExfP1C9/9nYzXAVUHfjrzeKC99KPtAvDgslJUcQu+zgUAVvRL4qthmIXTes0HMMaoLoLjgbBQ=="
        )
    )


@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
)
def test_the_signatures_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    assert ed25519.public_key(bytes.fromhex(seed)).hex() == public
    assert ed25519.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature


def test_the_token_request_is_the_golden_one(tmp_path: Path) -> None:
    endpoint = Endpoint.parse("https://registry.example")
    sign_in = SignIn(KeyFile(tmp_path / "key"), clock=lambda: 1_700_000_000.9, random_bytes=bytes)
    auth = Auth(Http(LIMITS, "test"), endpoint, sign_in)
    challenge = parse_challenge([CHALLENGE])
    assert auth._token_url(Endpoint.parse(challenge.realm).url, challenge, True) == TOKEN_URL


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "id_ed25519"
    first = KeyFile(path).identity()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("id_ed25519.pub").read_text() == f"ssh-ed25519 {first.public}\n"
    assert KeyFile(path).identity() == first
    assert sorted(file.name for file in path.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]
    assert "seed" not in repr(first)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_ssh_reads_our_keys_and_we_read_its(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    identity = KeyFile(ours).identity()
    shown = subprocess.run(["ssh-keygen", "-y", "-f", ours], capture_output=True, check=True)
    assert shown.stdout.decode().split()[1] == identity.public
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", theirs], check=True
    )
    public = theirs.with_name("theirs.pub").read_text().split()[1]
    assert KeyFile(theirs).identity().public == public


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("options", [["-t", "rsa", "-N", ""], ["-t", "ed25519", "-N", "secret"]])
def test_other_keys_are_refused_and_left(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", *options, "-f", path], check=True)
    before = path.read_bytes()
    with pytest.raises(RegistryUnauthorized, match="is not an ed25519 key"):
        KeyFile(path).identity()
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", range(0, 380, 7))
def test_a_torn_key_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "key"
    KeyFile(path).identity()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + whole[cut + 5 :])
    with pytest.raises(RegistryUnauthorized):
        KeyFile(path).identity()


@pytest.mark.parametrize(
    ("headers", "scheme", "realm", "scopes"),
    [
        ([CHALLENGE], "bearer", "https://registry.example/v2/token", ["repository:library/m:pull"]),
        (['bearer Realm=https://h/t, scope="a b"'], "bearer", "https://h/t", ["a", "b"]),
        (
            ['Bearer realm="https://h/t",scope="a "b" c"'],
            "bearer",
            "https://h/t",
            ["a", '"b"', "c"],
        ),
        (['Basic realm="x"', 'Bearer realm="https://h"'], "bearer", "https://h", []),
        (['Basic realm="x y"'], "basic", "x y", []),
        (["Basic"], "basic", "", []),
        (["Negotiate"], "", "", []),
        ([""], "", "", []),
        ([], "", "", []),
    ],
)
def test_challenges(headers: list[str], scheme: str, realm: str, scopes: list[str]) -> None:
    challenge = parse_challenge(headers)
    assert (challenge.scheme, challenge.realm, challenge.scopes) == (scheme, realm, scopes)


def demand_token(fake: FakeRegistry, realm: str) -> str:
    """The registry wants the token that is had at `realm`; gives a model's name."""
    fake.add_model("library/m:latest", (TEXT, b"MIT"))
    fake.challenge = f'Bearer realm="{realm}/token",service="s",scope="repository:library/m:pull"'
    fake.accepted, fake.tokens = "Bearer good", {"token": "good"}
    return f"http://{fake.host}/library/m"


async def test_the_key_signs_in(fake: FakeRegistry, registry: Registry, tmp_path: Path) -> None:
    await lines_of(registry.pull(demand_token(fake, fake.url)))
    (token,) = fake.of("GET", "/token")
    public, _, signature = token.headers["Authorization"].partition(":")
    assert (tmp_path / "keys" / "id_ed25519.pub").read_text().split()[1] == public
    assert len(base64.b64decode(signature)) == 64
    assert token.query["scope"] == "repository:library/m:pull"
    assert {"ts", "nonce", "service"} <= set(token.query)


async def test_many_parts_sign_in_once(fake: FakeRegistry, registry: Registry) -> None:
    name = demand_token(fake, fake.url)
    fake.add_model("library/m:latest", (TEXT, bytes(10 * LIMITS.part_bytes_min)))
    await lines_of(registry.pull(name))
    assert len(fake.of("GET", "/token")) == 1


async def test_a_token_service_elsewhere_is_refused(
    fake: FakeRegistry, start: Start, registry: Registry, tmp_path: Path
) -> None:
    other = await start()
    name = demand_token(fake, other.url)
    text = f'pull model manifest: realm host "{other.host}" does not match original host '
    with pytest.raises(RegistryUnauthorized, match=text + f'"{fake.host}"'):
        await lines_of(registry.pull(name))
    assert not other.requests
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("realm", ["", "/token", "token", "http://[", "file:///etc/passwd"])
async def test_a_realm_that_is_no_address(
    fake: FakeRegistry, registry: Registry, realm: str
) -> None:
    name = demand_token(fake, fake.url)
    fake.challenge = f'Bearer realm="{realm}"'
    with pytest.raises(RegistryUnauthorized, match="realm"):
        await lines_of(registry.pull(name))


async def test_an_allowed_token_service_never_sees_the_signature(
    fake: FakeRegistry, start: Start, open_registry: Open, tmp_path: Path
) -> None:
    other = await start(tokens={"access_token": "good"})
    registry = open_registry(token_hosts=[other.host.upper()])
    name = demand_token(fake, other.url)
    await lines_of(registry.pull(name))
    assert "Authorization" not in other.requests[0].headers
    assert not (tmp_path / "keys").exists()
    await lines_of(registry.pull(name, credentials=Credentials("me", "secret")))
    assert other.requests[1].headers["Authorization"] == "Basic bWU6c2VjcmV0"


async def test_a_token_that_is_not_good_enough(fake: FakeRegistry, registry: Registry) -> None:
    name = demand_token(fake, fake.url)
    fake.tokens = {"token": "bad"}
    with pytest.raises(
        RegistryUnauthorized, match=r"^pull model manifest: unauthorized: access denied$"
    ):
        await lines_of(registry.pull(name))
    assert len(fake.of("GET", "/token")) == 1


@pytest.mark.parametrize("tokens", [{}, [], {"token": 1}, {"token": "a\r\nX-Evil: 1"}])
async def test_an_answer_without_a_token(
    fake: FakeRegistry, registry: Registry, tokens: object
) -> None:
    name = demand_token(fake, fake.url)
    fake.tokens = tokens  # type: ignore[assignment]
    with pytest.raises(RegistryMisbehaved, match="token service's answer"):
        await lines_of(registry.pull(name))


async def test_a_password_is_given_when_asked_for(fake: FakeRegistry, registry: Registry) -> None:
    name = demand_token(fake, fake.url)
    fake.challenge, fake.accepted = 'Basic realm="x"', "Basic bWU6c2VjcmV0"
    with pytest.raises(RegistryUnauthorized, match="asks for a user name and a password"):
        await lines_of(registry.pull(name))
    with pytest.raises(RegistryUnauthorized, match=r"unauthorized: access denied$"):
        await lines_of(registry.pull(name, credentials=Credentials("me", "wrong")))
    await lines_of(registry.pull(name, credentials=Credentials("me", "secret")))
    assert fake.requests[-1].headers["Authorization"] == "Basic bWU6c2VjcmV0"


async def test_nothing_confidential_goes_where_redirects_lead(
    fake: FakeRegistry, start: Start, registry: Registry
) -> None:
    storage = await start(blobs=fake.blobs)
    name = demand_token(fake, fake.url)
    fake.redirect = storage.url
    await lines_of(registry.pull(name))
    assert storage.requests
    assert not any("Authorization" in request.headers for request in storage.requests)


async def test_a_password_is_not_for_mirrors(
    fake: FakeRegistry, start: Start, open_registry: Open
) -> None:
    mirror = await start(challenge='Basic realm="x"', accepted="none")
    registry = open_registry(mirrors=[f"{fake.host}={mirror.url}"])
    name = demand_token(fake, fake.url)
    fake.challenge, fake.accepted = 'Basic realm="x"', "Basic bWU6c2VjcmV0"
    await lines_of(registry.pull(name, credentials=Credentials("me", "secret")))
    assert not any("Authorization" in request.headers for request in mirror.requests)


async def test_a_mirror_has_its_own_password(
    fake: FakeRegistry, start: Start, open_registry: Open
) -> None:
    mirror = await start(challenge='Basic realm="x"', accepted="Basic bWU6c2VjcmV0")
    mirror.add_model("library/m:latest", (TEXT, b"MIT"))
    registry = open_registry(mirrors=[f"{fake.host}=http://me:secret@{mirror.host}"])
    await lines_of(registry.pull(f"http://{fake.host}/library/m"))
    assert not fake.requests


async def test_a_token_service_that_refuses(fake: FakeRegistry, registry: Registry) -> None:
    name = demand_token(fake, fake.url)
    fake.challenge = f'Bearer realm="{fake.url}/nowhere"'
    with pytest.raises(RegistryUnauthorized, match="unauthorized: 401"):
        await lines_of(registry.pull(name))
    fake.challenge = f'Bearer realm="{fake.url}/nowhere"'
    fake.accepted = ""
    with pytest.raises(RegistryUnauthorized, match="no token service at"):
        await lines_of(registry.pull(name))
