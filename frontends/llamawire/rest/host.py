"""Who may be asked for: a server on a loopback address answers only to names of this machine.

This keeps a page in a browser from reaching the server through a name of its own that resolves to
127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from functools import lru_cache

__all__ = ["is_allowed_host", "is_ip", "is_loopback"]

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_SUFFIXES = (".localhost", ".local", ".internal")


def is_loopback(address: str) -> bool:
    """Whether a socket bound to this address can be reached from this machine only."""
    ip = _ip(address)
    return ip is not None and ip.is_loopback


def is_ip(header: str) -> bool:
    """Whether a Host header has an address and no name."""
    return _ip(_without_port(header)) is not None


def is_allowed_host(
    header: str,
    hostname: Callable[[], str] = socket.gethostname,
    is_own_address: Callable[[str], bool] | None = None,
) -> bool:
    """Whether a Host header names this machine."""
    host = _without_port(header).lower()
    ip = _ip(host)
    if ip is None:
        return host in ("", "localhost", hostname().lower()) or host.endswith(_SUFFIXES)
    if ip.is_loopback or ip.is_unspecified or _is_private(ip, _PRIVATE):
        return True
    return (is_own_address or _is_own_address)(str(ip))


def _is_private(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
    networks: Collection[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    host, colon, _ = header.rpartition(":")
    return host if colon and ":" not in host else header


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _is_own_address(address: str) -> bool:
    """Only an address of one of our interfaces can be bound to; nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
