"""Whether an address that others can reach may be listened on.

A server that anybody can use, or whose traffic anybody can read, is rarely meant. So it has to be
said: LLAMAWIRE_INSECURE names what may be missing.
"""

from __future__ import annotations

import socket
from collections.abc import Collection

from .address import Address
from .host import is_loopback
from .serving import ListenError

__all__ = ["ANONYMOUS", "INSECURE", "PLAINTEXT", "ExposedError", "check_exposure", "reaches_others"]

ANONYMOUS = "anonymous"
"""Nobody is asked for a key or a certificate."""
PLAINTEXT = "plaintext"
"""Prompts, answers and keys can be read on the way."""
INSECURE = (ANONYMOUS, PLAINTEXT)

_WHAT = {
    ANONYMOUS: "everybody may use it (LLAMAWIRE_API_KEY_FILE or LLAMAWIRE_TLS_CLIENT_CA asks who)",
    PLAINTEXT: "nothing is encrypted (LLAMAWIRE_TLS_CERT and LLAMAWIRE_TLS_KEY do that)",
}


class ExposedError(ListenError):
    """Others could reach the address, and it is not protected as it should be."""


def check_exposure(
    what: str, address: Address, missing: Collection[str], allowed: Collection[str]
) -> None:
    """ExposedError if `address` is for others too and something of INSECURE is missing that is not
    allowed to be. `what` listens there."""
    unasked = [each for each in INSECURE if each in missing and each not in allowed]
    if not unasked or not reaches_others(address.host):
        return
    raise ExposedError(
        f"{what} on {address} could be reached from other machines, and "
        + " and ".join(_WHAT[each] for each in unasked)
        + f". Where a proxy or a closed network takes care of that, LLAMAWIRE_INSECURE="
        f"{','.join(unasked)} allows it; 127.0.0.1 is for this machine only."
    )


def reaches_others(host: str) -> bool:
    """Whether a socket bound to `host` can be reached from elsewhere; empty is every interface."""
    if not host:
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        # What has no address cannot be listened on; that error has words of its own.
        return False
    return not all(is_loopback(str(place[0])) for *_, place in found)
