"""`show`: all there is to know of a model."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from llamawire.cli.client import Client
from llamawire.cli.columns import format_rows
from llamawire.cli.errors import CliError
from llamawire.cli.human import count_text
from llamawire.cli.metadata import Metadata, integer_of, metadata_text
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb

__all__ = ["add_flags", "model_text", "show"]

WRAP_COLUMNS = 100
# Lines of a long text that are shown.
HEAD_LINES = 2

Row = tuple[str, ...]
_ASPECTS = ("license", "modelfile", "parameters", "system", "template")


def add_flags(parser: argparse.ArgumentParser) -> None:
    for aspect in _ASPECTS:
        parser.add_argument(f"--{aspect}", action="store_true", help=f"show the {aspect} only")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show metadata and tensors as well"
    )


def show(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    (name,) = arguments.words
    chosen = [aspect for aspect in _ASPECTS if getattr(arguments, aspect)]
    if len(chosen) > 1:
        raise CliError(
            "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' "
            "can be specified"
        )
    shown = client.models.ShowModel(pb.ShowModelRequest(model=name, verbose=arguments.verbose))
    if not chosen:
        terminal.print(model_text(shown, verbose=arguments.verbose), end="")
    elif chosen[0] in ("system", "template"):
        terminal.print(getattr(shown, chosen[0]), end="")
    else:
        terminal.print(_aspect(shown, chosen[0]))


def _aspect(shown: pb.ShowModelResponse, name: str) -> str:
    if name == "license":
        return "\n".join(shown.licenses)
    return shown.modelfile if name == "modelfile" else shown.parameters


def model_text(shown: pb.ShowModelResponse, *, verbose: bool = False) -> str:
    """Blocks of rows, each with its headline."""
    blocks: list[tuple[str, list[Row]]] = [
        ("Model", _model_rows(shown)),
        ("Capabilities", [(_capability(value),) for value in shown.model.capabilities]),
        ("Projector", _projector_rows(shown.projector_info)),
        ("Parameters", [tuple(line.split()) for line in shown.parameters.splitlines() if line]),
    ]
    if verbose:
        info = sorted(shown.model_info.items())
        blocks.append(("Metadata", [(key, metadata_text(value)) for key, value in info]))
        blocks.append(("Tensors", [_tensor_row(tensor) for tensor in shown.tensors]))
    blocks.append(("System", _head(shown.system)))
    blocks.append(("License", _head("\n".join(shown.licenses))))
    return "".join(_block(header, rows) for header, rows in blocks if rows)


def _block(header: str, rows: Sequence[Row]) -> str:
    return f"  {header}\n{format_rows([('', *row) for row in rows])}\n"


def _model_rows(shown: pb.ShowModelResponse) -> list[Row]:
    details, info = shown.model.details, shown.model_info
    architecture = _architecture(info) or details.family
    rows: list[Row] = [("architecture", architecture)]
    rows.append(("parameters", details.parameter_size or _parameter_count(info)))
    for label, key, known in (
        ("context length", "context_length", details.context_length),
        ("embedding length", "embedding_length", details.embedding_length),
    ):
        if length := integer_of(info, f"{architecture}.{key}") or known:
            rows.append((label, str(length)))
    rows.append(("quantization", details.quantization_level))
    if shown.requires:
        rows.append(("requires", shown.requires))
    return rows


def _projector_rows(info: Metadata) -> list[Row]:
    if not info:
        return []
    architecture = _architecture(info)
    rows: list[Row] = [("architecture", architecture), ("parameters", _parameter_count(info))]
    for label, key in (
        ("embedding length", "vision.embedding_length"),
        ("dimensions", "vision.projection_dim"),
    ):
        if length := integer_of(info, f"{architecture}.{key}"):
            rows.append((label, str(length)))
    return rows


def _architecture(info: Metadata) -> str:
    return info["general.architecture"].text if "general.architecture" in info else ""


def _parameter_count(info: Metadata) -> str:
    return count_text(integer_of(info, "general.parameter_count"))


def _capability(value: model_pb2.Capability.ValueType) -> str:
    return model_pb2.Capability.Name(value).removeprefix("CAPABILITY_").lower()


def _tensor_row(tensor: model_pb2.Tensor) -> Row:
    return tensor.name, tensor.type, f"[{' '.join(map(str, tensor.shape))}]"


def _head(text: str) -> list[Row]:
    """The first lines that are not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    rows: list[Row] = [
        (part,) for line in lines[:HEAD_LINES] for part in textwrap.wrap(line, WRAP_COLUMNS)
    ]
    return [*rows, ("...",)] if len(lines) > HEAD_LINES else rows
