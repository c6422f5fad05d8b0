"""Arguments, addresses, and what is said when nothing can be done."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from cli.conftest import Cli
from cli.fake_server import FakeServer, status
from llamawire.cli.address import server_address
from llamawire.cli.commands import COMMANDS
from llamawire.cli.errors import CliError


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["cp", "a"], "accepts 2 arg(s), received 1"),
        (["show"], "accepts 1 arg(s), received 0"),
        (["serve", "x"], "accepts 0 arg(s), received 1"),
        (["rm"], "requires at least 1 arg(s), only received 0"),
        (["run"], "requires at least 1 arg(s), only received 0"),
        (["list", "--nope"], "unknown flag: --nope"),
        (["zzz"], 'unknown command "zzz" for "llamawire"'),
        (["run", "m", "--think=x", "hi"], 'invalid value for --think: "x" (must be true, false, '
                                          "high, medium, low, or max)"),
        (["run", "m", "--keepalive", "300", "hi"], 'time: missing unit in duration "300"'),
        (["list", "--host", "http://localhost:11434"],
         "'http://localhost:11434' is no gRPC address; --host and LLAMAWIRE_GRPC take HOST:PORT of "
         "the gRPC API (default 127.0.0.1:11435), https:// before it for TLS, not the URL of the "
         "REST API"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_sentence_and_exit_code_1(
    cli: Cli, arguments: list[str], error: str
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out, result.err) == (1, "", f"Error: {error}\n")


def test_a_command_that_is_nearly_right_gets_a_hint(cli: Cli) -> None:
    assert "Did you mean this?\n\tlist" in cli("lst").err


@pytest.mark.parametrize("arguments", [["list"], ["run", "m", "hi"], ["rm", "m"], ["pull", "m"]])
def test_a_server_that_is_not_there_is_named(cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments, "--host", "127.0.0.1:1")
    assert result.code == 1
    assert result.err == (
        "Error: could not connect to llamawire server at 127.0.0.1:1, "
        "run 'llamawire serve' to start it\n"
    )


def test_flags_and_words_may_stand_in_any_order(cli: Cli, server: FakeServer) -> None:
    assert cli("run", "--verbose", "tiny", "--think", "say", "--format=json", "hi").code == 0
    assert server.requests[-1].prompt == "say hi"
    assert server.requests[-1].think.enabled
    assert cli("run", "tiny", "--", "--verbose", "-x").code == 0
    assert server.requests[-1].prompt == "--verbose -x"


def test_what_is_no_text_does_no_harm(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    assert cli("run", "tiny", "a\udcffb").code == 0
    assert server.requests[-1].prompt == "a\ufffdb"
    result = cli("create", "mine", "-f", str(tmp_path))
    assert (result.code, result.err.startswith("Error: [Errno ")) == (1, True)


def test_host_may_stand_before_the_command(cli: Cli, server: FakeServer) -> None:
    assert "127.0.0.1:1," in cli("--host", "127.0.0.1:1", "list").err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_that_names_the_grpc_address(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name = command.name  # type: ignore[attr-defined]
    if name in ("rest", "keys"):
        return  # another process has the help of these
    from llamawire.cli.__main__ import main

    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert ("LLAMAWIRE_GRPC" in capsys.readouterr().out) == (name != "serve")


def test_without_a_command_all_are_listed(cli: Cli) -> None:
    result = cli()
    assert result.code == 0
    for command in COMMANDS:
        assert f"\n  {command.name} " in result.out


def test_version_is_the_servers(cli: Cli, server: FakeServer) -> None:
    lines = cli("--version").out.splitlines()
    assert lines[0] == "llamawire version is 9.9.9"
    assert lines[1].startswith("Warning: client version is ")
    assert cli("--host", "127.0.0.1:1", "-v").out.startswith("Warning: could not connect")


def test_a_call_the_server_does_not_know_is_told(cli: Cli, server: FakeServer) -> None:
    server.failures["ListModels"] = rpc_unimplemented()
    assert "cannot do this" in cli("list").err


def test_a_server_that_drains_is_not_taken_for_one_that_is_gone(
    cli: Cli, server: FakeServer
) -> None:
    code = grpc.StatusCode.UNAVAILABLE
    server.failures["ListModels"] = status(code, "SHUTTING_DOWN", "the server is stopping")
    assert cli("list").err == "Error: the server is stopping\n"


def rpc_unimplemented() -> grpc.Status:
    return status(grpc.StatusCode.UNIMPLEMENTED, "", "Method not found!")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, "127.0.0.1:11435"),
        ("example.com", "example.com:11435"),
        ("1.2.3.4:5", "1.2.3.4:5"),
        (":7", "127.0.0.1:7"),
        ("0.0.0.0:7", "127.0.0.1:7"),
        ("::1", "[::1]:11435"),
        ("[::]:7", "[::1]:7"),
        ("unix:/run/x", "unix:/run/x"),
        (' "h:1" ', "h:1"),
    ],
)
def test_an_address_has_many_forms(text: str | None, address: str) -> None:
    assert server_address(text, {}) == address
    assert server_address(None, {"LLAMAWIRE_GRPC": text or ""}) == address


@pytest.mark.parametrize("text", ["h:99999", "h:x", "a b]:1"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(CliError, match="no address"):
        server_address(text, {})
