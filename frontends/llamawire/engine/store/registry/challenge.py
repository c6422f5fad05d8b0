"""`WWW-Authenticate`: what a registry wants before it lets anybody in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Challenge", "parse_challenge"]

# A value that is quoted ends at a quote before a comma or the end: scopes may have quotes inside.
_PARAMETER = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"(.*?)"(?=\s*(?:,|$))|([^",\s]+))')
_SCHEME = re.compile(r"\s*([A-Za-z]+)(?:\s+|$)")
# Longer ones are nobody's; reading them could take long.
HEADER_CHARS_MAX = 8 << 10
# Of those that a registry offers, the first of these is taken.
_SCHEMES = ("bearer", "basic")


@dataclass(frozen=True)
class Challenge:
    """`scheme` is `bearer`, `basic`, or empty where we know none of those on offer."""

    scheme: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        return self.parameters.get("realm", "")

    @property
    def service(self) -> str:
        return self.parameters.get("service", "")

    @property
    def scopes(self) -> list[str]:
        return self.parameters.get("scope", "").split()


def parse_challenge(headers: Iterable[str]) -> Challenge:
    """The challenge to answer, of all the headers of a reply."""
    found = [_parse(header) for header in headers]
    known = [challenge for challenge in found if challenge.scheme in _SCHEMES]
    return min(known, key=lambda challenge: _SCHEMES.index(challenge.scheme), default=Challenge())


def _parse(header: str) -> Challenge:
    scheme = _SCHEME.match(header)
    if scheme is None or len(header) > HEADER_CHARS_MAX:
        return Challenge()
    parameters: dict[str, str] = {}
    position = scheme.end()
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is not None:
            parameters[match[1].lower()] = match[2] if match[2] is not None else match[3]
            position = match.end()
        # Whatever else stands there is passed over, up to the next comma.
        position = header.find(",", position) + 1 or len(header)
    return Challenge(scheme[1].lower(), parameters)
