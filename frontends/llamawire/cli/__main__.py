"""`llamawire`: reads the command line, runs the command, says what went wrong."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from contextlib import closing

import grpc

from llamawire.cli.client import Client
from llamawire.cli.command import Parser
from llamawire.cli.commands import command_named, commands_text
from llamawire.cli.connection import Connection, Credentials, add_connection_flags
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.terminal import Terminal
from llamawire.v1.server_service_pb2 import GetVersionRequest

__all__ = ["main"]

FAILED, INTERRUPTED = 1, 130
VERSION_TIMEOUT_S = 5.0


def main(arguments: Sequence[str] | None = None, terminal: Terminal | None = None) -> int:
    """The exit code: 0, 1 after an error, 130 after Ctrl-C."""
    terminal = terminal or Terminal.of_process()
    connection = Connection("")
    try:
        parsed = _parser().parse_args(arguments)
        if parsed.version or not parsed.command:
            return _without_command(parsed, terminal)
        command = command_named(parsed.command)
        options = command.parse(parsed.arguments)
        if not command.is_local:
            connection = _connection(options, parsed, terminal)
        with closing(Client(connection)) as client:
            command.run(options, client, terminal)
    except CliError as error:
        terminal.note(f"Error: {error}")
        return FAILED
    except grpc.RpcError as error:
        terminal.note(f"Error: {Failure.of(error).text(connection.url)}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), terminal.stdout.fileno())
        return FAILED
    except OSError as error:
        terminal.note(f"Error: {error}")
        return FAILED
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="llamawire",
        usage="llamawire [--host [https://]HOST:PORT] COMMAND ...",
        description="Serves language models from GGUF files.",
        epilog=f"commands:\n{commands_text()}\n'llamawire COMMAND --help' says more of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_connection_flags(parser)
    parser.add_argument("-v", "--version", action="store_true", help="print the server's version")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _without_command(parsed: argparse.Namespace, terminal: Terminal) -> int:
    if parsed.version:
        _print_version(_connection(parsed, parsed, terminal), terminal)
    else:
        terminal.print(_parser().format_help(), end="")
    return 0


def _connection(
    command: argparse.Namespace, before: argparse.Namespace, terminal: Terminal
) -> Connection:
    credentials = Credentials.of(command, before, terminal.environ)
    connection = Connection.to(command.host or before.host, terminal.environ, credentials)
    if connection.shows_key:
        terminal.note(
            f"Warning: the API key goes to {connection.url} unencrypted; https:// is safe"
        )
    return connection


def _print_version(connection: Connection, terminal: Terminal) -> None:
    ours = importlib.metadata.version("llamawire")
    try:
        with closing(Client(connection)) as client:
            reply = client.server.GetVersion(GetVersionRequest(), timeout=VERSION_TIMEOUT_S)
    except grpc.RpcError:
        terminal.print("Warning: could not connect to a running llamawire instance")
        terminal.print(f"Warning: client version is {ours}")
        return
    terminal.print(f"llamawire version is {reply.version}")
    if reply.version != ours:
        terminal.print(f"Warning: client version is {ours}")


if __name__ == "__main__":
    sys.exit(main())
