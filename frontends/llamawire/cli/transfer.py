"""`pull` and `push`: models from and to a registry."""

from __future__ import annotations

import argparse

import grpc

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.names import ModelName
from llamawire.cli.progress import show_progress
from llamawire.cli.replies import replies
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_service_pb2 as pb

__all__ = ["add_flags", "pull", "pull_model", "push"]

_NOT_YOURS = (
    "you are not authorized to push to this namespace, create the model under a namespace you own"
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--insecure", action="store_true", help="allow plain HTTP and unsigned certificates"
    )


def pull(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    pull_model(client, terminal, arguments.words[0], insecure=arguments.insecure)


def pull_model(client: Client, terminal: Terminal, name: str, *, insecure: bool) -> None:
    """Has the server fetch a model and shows how far it is."""
    request = pb.PullModelRequest(model=name, insecure=insecure)
    with show_progress(terminal.stderr) as progress:
        for reply in replies(client.models.PullModel, request):
            progress.update(reply.status, reply.digest, reply.total_bytes, reply.completed_bytes)


def push(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    (name,) = arguments.words
    request = pb.PushModelRequest(model=name, insecure=arguments.insecure)
    try:
        with show_progress(terminal.stderr) as progress:
            for reply in replies(client.models.PushModel, request):
                progress.update(
                    reply.status, reply.digest, reply.total_bytes, reply.completed_bytes
                )
    except grpc.RpcError as error:
        message = Failure.of(error).message
        if "access denied" in message or "unauthorized" in message:
            raise CliError(_NOT_YOURS) from error
        raise
    terminal.print(f"\nYou can find your model at:\n\n\t{_place(name)}")


def _place(text: str) -> str:
    """Where others find it."""
    name = ModelName.parse(text)
    if name is None:
        return text
    if name.host.endswith((".ollama.ai", ".ollama.com")):
        return f"https://ollama.com/{name.short.removesuffix(':latest')}"
    return name.full
