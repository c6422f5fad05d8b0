"""How the server is reached: keys and certificates of flags and environment."""

from __future__ import annotations

import argparse

import pytest

from cli.conftest import Cli
from cli.fake_server import FakeServer
from llamawire.cli.connection import ANONYMOUS, Connection, Credentials
from llamawire.cli.errors import CliError


def credentials(*, before: str | None = None, **command: str) -> Credentials:
    return Credentials.of(
        argparse.Namespace(**command),
        argparse.Namespace(api_key=before),
        {"LLAMAWIRE_API_KEY": "lw_environment"},
    )


def test_the_nearest_key_wins() -> None:
    assert credentials().api_key == "lw_environment"
    assert credentials(before="lw_before").api_key == "lw_before"
    assert credentials(before="lw_before", api_key="lw_command").api_key == "lw_command"
    assert "lw_" not in repr(credentials())


@pytest.mark.parametrize(
    "arguments", [("list",), ("run", "tiny", "hi"), ("rm", "tiny"), ("show", "tiny")]
)
def test_every_call_carries_the_key(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    cli(*arguments)
    assert set(server.authorizations) == {""}
    server.authorizations.clear()
    assert cli("--api-key", "lw_1", *arguments).code == 0
    monkeypatch.setenv("LLAMAWIRE_API_KEY", "lw_1")
    assert cli(*arguments).code == 0
    assert set(server.authorizations) == {"Bearer lw_1"}


@pytest.mark.parametrize(
    ("text", "address", "is_secure", "url"),
    [
        ("https://h:7", "h:7", True, "https://h:7"),
        ("https://h", "h:443", True, "https://h:443"),
        ("https://h/", "h:443", True, "https://h:443"),
        ("h", "h:11435", False, "h:11435"),
    ],
)
def test_a_scheme_asks_for_tls(text: str, address: str, is_secure: bool, url: str) -> None:
    connection = Connection.to(text, {}, ANONYMOUS)
    assert (connection.address, connection.is_secure, connection.url) == (address, is_secure, url)


@pytest.mark.parametrize(
    ("text", "shows"),
    [("127.0.0.1:1", False), ("unix:/x", False), ("https://h", False), ("h", True)],
)
def test_a_key_that_others_can_read_is_warned_of(text: str, shows: bool) -> None:
    assert Connection.to(text, {}, credentials()).shows_key == shows
    assert not Connection.to(text, {}, ANONYMOUS).shows_key


def test_files_that_cannot_be_read_are_named(cli: Cli) -> None:
    assert cli("list", "--host", "https://h", "--cacert", "none.pem").err == (
        "Error: none.pem: No such file or directory\n"
    )
    with pytest.raises(CliError, match="go together"):
        credentials(client_cert="a.pem")
