"""`serve`, `rest`, `keys`: this process becomes the daemon, the adapter or the keeper of keys."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = ["keys", "rest", "serve"]


def serve(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """Everything is chosen by the environment."""
    _require_engine("to serve models")
    _become("llamawire.engine")


def keys(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """The key file lies beside the daemon; no server is asked."""
    _require_engine("to make keys")
    _become("llamawire.engine.access", *arguments.words)


def rest(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    _become("llamawire.rest", *arguments.words)


def _require_engine(purpose: str) -> None:
    if importlib.util.find_spec("llamawire.engine") is None:
        raise CliError(
            "this installation has the adapter and the command line only; "
            f"install llamawire with its engine {purpose}"
        )


def _become(module: str, *arguments: str) -> None:
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
