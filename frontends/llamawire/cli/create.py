"""`create`: a Modelfile and the files it names become a model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.model_files import adapter_files, file_keys, source_files
from llamawire.cli.names import check_name
from llamawire.cli.progress import Progress, show_progress
from llamawire.cli.replies import replies
from llamawire.cli.terminal import Terminal
from llamawire.cli.upload import digest_of, upload
from llamawire.modelfile import Modelfile, ModelfileError, ParameterValue, parse
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb

__all__ = ["add_flags", "create", "create_request", "send_create"]

# What stands for a Modelfile where there is none: the weights in this folder.
DEFAULT_MODELFILE = "FROM .\n"


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--file", metavar="FILE", help='the Modelfile, - for stdin (default "./Modelfile")'
    )
    parser.add_argument(
        "-q", "--quantize", metavar="TYPE", default="", help="quantize to this type, e.g. q4_K_M"
    )


def create(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    (name,) = arguments.words
    check_name(name)
    text, folder = _read(arguments.file, terminal)
    try:
        modelfile = parse(text)
        request = _fields(modelfile, terminal)
    except ModelfileError as error:
        raise CliError(str(error)) from error
    request.model, request.quantize = name, arguments.quantize
    with show_progress(terminal.stderr) as progress:
        progress.update("gathering model components")
        _add_files(request, modelfile, folder, client, progress)
        send_create(client, request, progress)


def create_request(
    model: str,
    *,
    base: str = "",
    system: str = "",
    parameters: Mapping[str, ParameterValue] | None = None,
    messages: Sequence[tuple[str, str]] = (),
) -> pb.CreateModelRequest:
    """A request by its most common fields; `messages` are roles and contents."""
    stored = [model_pb2.StoredMessage(role=role, content=text) for role, text in messages]
    request = pb.CreateModelRequest(model=model, system=system, messages=stored)
    setattr(request, "from", base)
    request.parameters.update(dict(parameters or {}))
    return request


def send_create(client: Client, request: pb.CreateModelRequest, progress: Progress) -> None:
    for reply in replies(client.models.CreateModel, request):
        progress.update(reply.status, reply.digest, reply.total_bytes, reply.completed_bytes)


def _read(file: str | None, terminal: Terminal) -> tuple[str | bytes, Path]:
    """The Modelfile's text, and the folder that its paths start from."""
    if file == "-":
        return terminal.stdin.read(), Path.cwd()
    path = Path(file or "Modelfile")
    try:
        return path.read_bytes(), path.absolute().parent
    except FileNotFoundError as error:
        if file:
            raise CliError(f"specified Modelfile wasn't found: {file}") from error
        return DEFAULT_MODELFILE, Path.cwd()


def _fields(modelfile: Modelfile, terminal: Terminal) -> pb.CreateModelRequest:
    """All but what the FROM and ADAPTER lines say."""
    if modelfile.drafts:
        raise CliError("DRAFT is not supported by this version of llamawire")
    parameters = modelfile.parameters()
    for name in parameters.deprecated:
        terminal.print(f"warning: parameter {name} is deprecated")
    request = create_request(
        "",
        system=modelfile.system,
        parameters=parameters.values,
        messages=modelfile.messages,
    )
    request.template = modelfile.template
    request.licenses.extend(modelfile.licenses)
    request.renderer, request.parser = modelfile.renderer, modelfile.parser
    request.requires = modelfile.requires
    return request


def _add_files(
    request: pb.CreateModelRequest,
    modelfile: Modelfile,
    folder: Path,
    client: Client,
    progress: Progress,
) -> None:
    """Finds what FROM and ADAPTER name and uploads the files among it."""
    weights: list[Path] = []
    for source in modelfile.sources:
        found = source_files(source, folder)
        if found is None:
            setattr(request, "from", source)
        else:
            weights += found
    adapters = [path for text in modelfile.adapters for path in adapter_files(text, folder)]
    for paths, digests in ((weights, request.files), (adapters, request.adapters)):
        for key, path in file_keys(paths).items():
            digests[key] = digest_of(path)
            upload(client, path, digests[key], progress)
