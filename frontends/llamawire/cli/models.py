"""`cp`, `rm` and `stop`: small changes by name."""

from __future__ import annotations

import argparse

import grpc

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_service_pb2 as pb

__all__ = ["copy_model", "remove_models", "stop_model"]


def copy_model(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    source, destination = arguments.words
    client.models.CopyModel(pb.CopyModelRequest(source=source, destination=destination))
    terminal.print(f"copied '{source}' to '{destination}'")


def remove_models(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """Stops and deletes one after the other, up to the first that fails."""
    for name in arguments.words:
        try:
            client.models.Unload(pb.UnloadRequest(model=name))
        except grpc.RpcError as error:
            failure = Failure.of(error)
            if failure.is_unreachable:
                raise
            if not failure.is_not_found:
                terminal.note(f"Warning: unable to stop model '{name}'")
        client.models.DeleteModel(pb.DeleteModelRequest(model=name))
        terminal.print(f"deleted '{name}'")


def stop_model(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    """Unloads a model when its running requests have ended; none is lost."""
    (name,) = arguments.words
    try:
        client.models.GetModel(pb.GetModelRequest(model=name))
    except grpc.RpcError as error:
        if Failure.of(error).is_not_found:
            raise CliError(f'couldn\'t find model "{name}" to stop') from error
        raise
    client.models.Unload(pb.UnloadRequest(model=name))
