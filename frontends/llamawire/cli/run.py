"""`run`: one answer for a prompt, or a talk."""

from __future__ import annotations

import argparse

import grpc

from llamawire.cli.answer import Style, print_answer
from llamawire.cli.client import Client
from llamawire.cli.conversation import Conversation, Settings
from llamawire.cli.durations import parse_duration_ns
from llamawire.cli.embed import print_embedding
from llamawire.cli.errors import CliError, Failure
from llamawire.cli.terminal import Terminal
from llamawire.cli.transfer import pull_model
from llamawire.v1 import model_pb2
from llamawire.v1.generation_pb2 import Format, JsonObject, Think
from llamawire.v1.model_service_pb2 import GetModelRequest

__all__ = ["BARE_FLAGS", "add_flags", "json_format", "run", "think_level"]

THINK_LEVELS = ("high", "medium", "low", "max")
BARE_FLAGS = {"--think": "true", "--truncate": "true"}


def add_flags(parser: argparse.ArgumentParser) -> None:
    add, switch = parser.add_argument, "store_true"
    add("--format", metavar="FORMAT", help="json, or a JSON Schema")
    add("--insecure", action=switch, help="allow plain HTTP when the model has to be pulled")
    add("--keepalive", metavar="TIME", help="how long it stays loaded, e.g. 5m; =-1s for ever")
    add("--nowordwrap", action=switch, help="leave long lines as they are")
    add("--verbose", action=switch, help="print counts and times after the answer")
    add("--think", metavar="LEVEL", help="think first: true, false, high, medium, low or max")
    add("--hidethinking", action=switch, help="do not print what the model thinks")
    add("--truncate", metavar="BOOL", help="cut a text that is too long to be embedded")
    add("--dimensions", type=int, default=0, metavar="N", help="components of an embedding")


def run(arguments: argparse.Namespace, client: Client, terminal: Terminal) -> None:
    name, *words = arguments.words
    settings = _settings(arguments)
    piped = "" if terminal.stdin.isatty() else terminal.stdin.read()
    parts = [piped, *words] if piped else words
    model = _model(client, terminal, name, insecure=arguments.insecure)
    if _only_embeds(model):
        print_embedding(
            client, terminal, name, " ".join(parts), arguments.truncate, arguments.dimensions
        )
        return
    conversation = Conversation(client, name, settings)
    sees = model_pb2.CAPABILITY_VISION in model.capabilities
    style = Style(not arguments.nowordwrap, arguments.verbose, arguments.hidethinking, sees)
    if parts or not terminal.is_interactive:
        _answer_once(conversation, " ".join(parts), terminal, style)
    else:
        # prompt_toolkit takes long to import.
        from llamawire.cli.repl import start

        start(conversation, client, terminal, style)


def _answer_once(conversation: Conversation, prompt: str, terminal: Terminal, style: Style) -> None:
    """An empty prompt only loads the model."""
    if prompt:
        print_answer(conversation, prompt, terminal, style)
    else:
        conversation.load()


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = Settings()
    if arguments.format:
        settings.format = json_format(arguments.format)
    if arguments.think is not None:
        settings.think = think_level(arguments.think)
    if arguments.keepalive:
        settings.keep_alive_ns = parse_duration_ns(arguments.keepalive)
    return settings


def json_format(text: str) -> Format:
    """`json`, or a JSON Schema."""
    return Format(json=JsonObject()) if text == "json" else Format(json_schema=text)


def think_level(text: str) -> Think:
    """Raises CliError for a level that there is not."""
    if text in THINK_LEVELS:
        return Think(enabled=True, level=text)
    if text not in ("true", "false"):
        raise CliError(
            f'invalid value for --think: "{text}" (must be true, false, high, medium, low, or max)'
        )
    return Think(enabled=text == "true")


def _model(client: Client, terminal: Terminal, name: str, *, insecure: bool) -> model_pb2.Model:
    """The model; one that is not there is pulled."""
    request = GetModelRequest(model=name)
    try:
        return client.models.GetModel(request).model
    except grpc.RpcError as error:
        if not Failure.of(error).is_not_found:
            raise
    pull_model(client, terminal, name, insecure=insecure)
    return client.models.GetModel(request).model


def _only_embeds(model: model_pb2.Model) -> bool:
    abilities = set(model.capabilities)
    return (
        model_pb2.CAPABILITY_EMBEDDING in abilities
        and model_pb2.CAPABILITY_COMPLETION not in abilities
    )
