"""`list` and `ps`: the models of the store and those in memory."""

from __future__ import annotations

import argparse
import time

from google.protobuf.timestamp_pb2 import Timestamp

from llamawire.cli.client import Client
from llamawire.cli.columns import format_table
from llamawire.cli.human import relative_text, size_text
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_pb2, model_service_pb2

__all__ = ["list_loaded", "list_models", "models_table"]

ID_LENGTH = 12
# A model whose end is so far away stays for ever.
FOR_EVER_S = 20 * 365 * 86400


def list_models(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    prefix = arguments.words[0] if arguments.words else ""
    terminal.print(models_table(client, prefix), end="")


def models_table(client: Client, prefix: str) -> str:
    """The models whose names begin with `prefix`, in any letter case."""
    models = client.models.ListModels(model_service_pb2.ListModelsRequest()).models
    now_s = time.time()
    rows = [
        (
            model.name,
            model.digest[:ID_LENGTH],
            size_text(model.size_bytes) if model.size_bytes else "-",
            _modified(model, now_s),
        )
        for model in models
        if model.name.lower().startswith(prefix.lower())
    ]
    return format_table(("NAME", "ID", "SIZE", "MODIFIED"), rows)


def _modified(model: model_pb2.Model, now_s: float) -> str:
    if not model.HasField("modified_at"):
        return "Never"
    return relative_text(_seconds(model.modified_at) - now_s)


def list_loaded(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    prefix = arguments.words[0] if arguments.words else ""
    models = client.models.ListLoaded(model_service_pb2.ListLoadedRequest()).models
    rows = [
        (
            model.name,
            model.digest[:ID_LENGTH],
            size_text(model.size_bytes),
            _processor(model),
            str(model.num_ctx),
            _until(model),
        )
        for model in models
        if model.name.startswith(prefix)
    ]
    header = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
    terminal.print(format_table(header, rows), end="")


def _processor(model: model_pb2.LoadedModel) -> str:
    """Where the model's memory is."""
    size, vram = model.size_bytes, model.size_vram_bytes
    if not vram:
        return "100% CPU"
    if vram == size:
        return "100% GPU"
    if vram > size or not size:
        return "Unknown"
    cpu = round((size - vram) * 100 / size)
    return f"{cpu}%/{100 - cpu}% CPU/GPU"


def _until(model: model_pb2.LoadedModel) -> str:
    if not model.HasField("expires_at"):
        return "Forever"
    left_s = _seconds(model.expires_at) - time.time()
    if left_s <= 0:
        return "Stopping..."
    return "Forever" if left_s > FOR_EVER_S else relative_text(left_s)


def _seconds(stamp: Timestamp) -> float:
    return stamp.seconds + stamp.nanos / 1e9
