"""Where the server's gRPC API is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llamawire.cli.errors import CliError

__all__ = ["DEFAULT_ADDRESS", "VARIABLE", "is_loopback", "server_address"]

VARIABLE = "LLAMAWIRE_GRPC"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = "11435"
DEFAULT_ADDRESS = f"{DEFAULT_HOST}:{DEFAULT_PORT}"

_PLACE = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]+))?")
# What a server binds to listen everywhere is no place to call.
_EVERYWHERE = {"": DEFAULT_HOST, "0.0.0.0": DEFAULT_HOST, "[::]": "[::1]"}


def server_address(
    option: str | None, environ: Mapping[str, str], *, default_port: str = DEFAULT_PORT
) -> str:
    """The gRPC target to call: what `--host` says, else the variable, else the default.

    `HOST`, `HOST:PORT`, `:PORT`, `[IPV6]:PORT` and gRPC's own forms, such as `unix:/run/x` and
    `dns:///name:port`, are understood. Raises CliError for anything else.
    """
    text = (option or environ.get(VARIABLE) or "").strip().strip("\"'")
    if text.startswith(("unix:", "dns:", "ipv4:", "ipv6:", "xds:")):
        return text
    if "://" in text:
        raise CliError(
            f"{text!r} is no gRPC address; --host and {VARIABLE} take HOST:PORT of the gRPC API "
            f"(default {DEFAULT_ADDRESS}), https:// before it for TLS, not the URL of the REST API"
        )
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    match = _PLACE.fullmatch(text)
    if match is None or int(match[2] or 0) > 65535:
        raise CliError(f"{text!r} is no address; --host and {VARIABLE} take HOST:PORT")
    return f"{_EVERYWHERE.get(match[1], match[1])}:{match[2] or default_port}"


def is_loopback(address: str) -> bool:
    return address.startswith(("127.", "localhost:", "[::1]:", "unix:"))
