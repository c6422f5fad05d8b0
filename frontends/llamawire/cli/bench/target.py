"""Where a server is, what protocol it speaks, and what it is called in tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamawire.cli.bench.exchange import Client
from llamawire.cli.bench.grpc_api import GrpcClient
from llamawire.cli.bench.ollama import OllamaClient
from llamawire.cli.bench.openai import OpenAiClient
from llamawire.cli.connection import ANONYMOUS, Connection, Credentials
from llamawire.cli.errors import CliError

__all__ = ["Target"]

_FORM = re.compile(r"(?:([\w.-]+)=)?(grpc|ollama|openai):([^#]+)(?:#(.+))?")


@dataclass(frozen=True)
class Target:
    """A server and the model on it that is measured."""

    name: str
    protocol: str
    address: str
    model: str
    credentials: Credentials = ANONYMOUS
    """For llamawire's own protocol; other servers are not shown our key."""

    @classmethod
    def parse(cls, text: str, model: str, credentials: Credentials = ANONYMOUS) -> Target:
        """`model` is for targets that name none. Raises CliError."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise CliError(
                f"{text!r} is no target; --target takes [NAME=]PROTOCOL:ADDRESS"
                "[#MODEL] with a PROTOCOL of grpc, ollama or openai"
            )
        name, protocol, address, own_model = match.groups()
        if protocol == "grpc":
            address = Connection.to(address, {}, credentials).url
        elif not address.startswith(("http://", "https://")):
            raise CliError(f"--target {text!r}: the address of {protocol} is an http:// URL")
        return cls(name or protocol, protocol, address, own_model or model, credentials)

    def client(self) -> Client:
        """To be made in the event loop that will use it."""
        if self.protocol == "grpc":
            connection = Connection.to(self.address, {}, self.credentials)
            return GrpcClient(connection, self.model)
        if self.protocol == "ollama":
            return OllamaClient(self.address, self.model)
        return OpenAiClient(self.address, self.model)
