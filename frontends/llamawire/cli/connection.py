"""How the server is reached: its address, what proves who we are, and what proves who it is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio

from llamawire.cli.address import DEFAULT_ADDRESS, VARIABLE, is_loopback, server_address
from llamawire.cli.errors import CliError

__all__ = ["ANONYMOUS", "Connection", "Credentials", "add_connection_flags"]

# Images travel in one message.
MESSAGE_BYTES_MAX = 64 << 20
SECURE = "https://"
# As in any URL.
SECURE_PORT = "443"

# The flag, its value, and what it is for; LLAMAWIRE_ and the flag's name in capitals is its
# environment variable.
FLAGS = (
    ("api-key", "KEY", "the API key; better in the environment, where other users do not see it"),
    ("cacert", "FILE", "certificates (PEM) that the server's must come from, for https://"),
    ("client-cert", "FILE", "our certificate (PEM), for servers that ask for one"),
    ("client-key", "FILE", "the key of our certificate (PEM)"),
)


def add_connection_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        metavar="[https://]HOST:PORT",
        help=(
            "the server's gRPC address, not the REST one; https:// for TLS "
            f"(environment variable {VARIABLE}, default {DEFAULT_ADDRESS})"
        ),
    )
    for name, value, text in FLAGS:
        parser.add_argument(f"--{name}", metavar=value, help=f"{text} ({_variable(name)})")


def _variable(flag: str) -> str:
    return "LLAMAWIRE_" + flag.upper().replace("-", "_")


@dataclass(frozen=True)
class Credentials:
    """What flags or the environment say; empty is not given."""

    api_key: str = field(default="", repr=False)
    cacert: str = ""
    client_cert: str = ""
    client_key: str = ""

    @classmethod
    def of(
        cls, command: argparse.Namespace, before: argparse.Namespace, environ: Mapping[str, str]
    ) -> Credentials:
        """Flags behind the command win over those before it, and both over the environment."""
        found = {}
        for flag, _, _ in FLAGS:
            name = flag.replace("-", "_")
            given = getattr(command, name, None) or getattr(before, name, None)
            found[name] = (given or environ.get(_variable(flag), "")).strip()
        if bool(found["client_cert"]) != bool(found["client_key"]):
            raise CliError("--client-cert and --client-key go together")
        return cls(**found)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """For every call."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    def of_channel(self) -> grpc.ChannelCredentials:
        """CliError for a file that cannot be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.cacert),
            private_key=_read(self.client_key),
            certificate_chain=_read(self.client_cert),
        )


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error


ANONYMOUS = Credentials()


@dataclass(frozen=True)
class Connection:
    """`address` is a gRPC target."""

    address: str
    is_secure: bool = False
    credentials: Credentials = ANONYMOUS

    @classmethod
    def to(
        cls, text: str | None, environ: Mapping[str, str], credentials: Credentials
    ) -> Connection:
        """What `--host` or the environment name. CliError for what is no address."""
        text = (text or environ.get(VARIABLE) or "").strip().strip("\"'")
        if not text.startswith(SECURE):
            return cls(server_address(text, {}), False, credentials)
        place = text.removeprefix(SECURE).rstrip("/")
        return cls(server_address(place, {}, default_port=SECURE_PORT), True, credentials)

    @property
    def url(self) -> str:
        """As it is written, and told to the user."""
        return f"{SECURE if self.is_secure else ''}{self.address}"

    @property
    def shows_key(self) -> bool:
        """Whether others on the way can read the key."""
        return bool(self.credentials.api_key) and not (self.is_secure or is_loopback(self.address))

    def channel(self) -> grpc.Channel:
        """Opens nothing before the first call."""
        if self.is_secure:
            channel = grpc.secure_channel(
                self.address, self.credentials.of_channel(), options=self._options
            )
        else:
            channel = grpc.insecure_channel(self.address, options=self._options)
        metadata = self.credentials.metadata
        return grpc.intercept_channel(channel, Authorized(metadata)) if metadata else channel

    def aio_channel(self) -> grpc.aio.Channel:
        """The same for asyncio; its calls have to be given the metadata."""
        if self.is_secure:
            return grpc.aio.secure_channel(
                self.address, self.credentials.of_channel(), options=self._options
            )
        return grpc.aio.insecure_channel(self.address, options=self._options)

    @property
    def _options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            # A proxy cannot reach what listens on this machine only.
            ("grpc.enable_http_proxy", int(not is_loopback(self.address))),
        ]


class Details(NamedTuple):
    """grpc.ClientCallDetails, which has no constructor of its own."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


class Authorized(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
):
    """Adds metadata to every call."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_metadata(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_metadata(details), request)

    def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._with_metadata(details), requests)

    def _with_metadata(self, details: Any) -> Details:
        return Details(
            details.method,
            details.timeout,
            (*(details.metadata or ()), *self._metadata),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
