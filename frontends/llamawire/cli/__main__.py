"""`llamawire`: reads the command line, runs the command, says what went wrong."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from contextlib import closing

import grpc

from llamawire.cli.address import server_address
from llamawire.cli.client import Client
from llamawire.cli.command import HOST_HELP, Parser
from llamawire.cli.commands import command_named, commands_text
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.terminal import Terminal
from llamawire.v1.server_service_pb2 import GetVersionRequest

__all__ = ["main"]

FAILED, INTERRUPTED = 1, 130
VERSION_TIMEOUT_S = 5.0


def main(arguments: Sequence[str] | None = None, terminal: Terminal | None = None) -> int:
    """The exit code: 0, 1 after an error, 130 after Ctrl-C."""
    terminal = terminal or Terminal.of_process()
    address = ""
    try:
        parsed = _parser().parse_args(arguments)
        if parsed.version or not parsed.command:
            return _without_command(parsed, terminal)
        command = command_named(parsed.command)
        options = command.parse(parsed.arguments)
        if not command.is_local:
            address = server_address(options.host or parsed.host, terminal.environ)
        with closing(Client(address)) as client:
            command.run(options, client, terminal)
    except CliError as error:
        terminal.note(f"Error: {error}")
        return FAILED
    except grpc.RpcError as error:
        terminal.note(f"Error: {Failure.of(error).text(address)}")
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
        usage="llamawire [--host HOST:PORT] COMMAND ...",
        description="Serves language models from GGUF files.",
        epilog=f"commands:\n{commands_text()}\n'llamawire COMMAND --help' says more of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--host", metavar="HOST:PORT", help=HOST_HELP)
    parser.add_argument("-v", "--version", action="store_true", help="print the server's version")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _without_command(parsed: argparse.Namespace, terminal: Terminal) -> int:
    if parsed.version:
        _print_version(server_address(parsed.host, terminal.environ), terminal)
    else:
        terminal.print(_parser().format_help(), end="")
    return 0


def _print_version(address: str, terminal: Terminal) -> None:
    ours = importlib.metadata.version("llamawire")
    try:
        with closing(Client(address)) as client:
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
