"""Addresses as they stand in OLLAMA_HOST."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["DEFAULT_PORT", "Address", "parse_address"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """Where to listen. An empty host is every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, port: int = DEFAULT_PORT) -> Address:
    """`[http[s]://]host[:port][/path]`; any part may be missing, and a bad port is none.

    `port` stands in for a missing one where no scheme says another.
    """
    text = text.strip().strip("\"'")
    scheme, separator, rest = text.partition("://")
    default_port = _SCHEME_PORTS.get(scheme, port) if separator else port
    place = (rest if separator else text).partition("/")[0]
    if place == "ollama.com":
        default_port = 443
    if match := re.fullmatch(r"(\[[^\]]*\]|[^:\[]*):([^:]*)", place):
        return Address(match[1].strip("[]"), _port(match[2], default_port))
    return Address(place.strip("[]") or DEFAULT_HOST, default_port)


def _port(text: str, default: int) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
        return int(text)
    return default
