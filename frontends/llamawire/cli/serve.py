"""`serve` and `rest`: this process becomes the daemon or the adapter."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal

__all__ = ["rest", "serve"]


def serve(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """Everything is chosen by the environment."""
    if importlib.util.find_spec("llamawire.engine") is None:
        raise CliError(
            "this installation has the adapter and the command line only; "
            "install llamawire with its engine to serve models"
        )
    _become("llamawire.engine")


def rest(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    _become("llamawire.rest", *arguments.words)


def _become(module: str, *arguments: str) -> None:
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
