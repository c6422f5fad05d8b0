"""Which web pages may call: the Origin header and the answers that browsers ask for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

__all__ = ["Cors", "parse_origins"]

_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")
_APPS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
BUILT_IN = (
    *(
        scheme + host + port
        for host, scheme, port in product(_HOSTS, ("http://", "https://"), ("", ":*"))
    ),
    *_APPS,
)

_METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
_STAINLESS = (
    "Arch", "Async", "Custom-Poll-Interval", "Helper-Method", "Lang", "Os", "Package-Version",
    "Poll-Helper", "Retry-Count", "Runtime", "Runtime-Version", "Timeout",
)  # fmt: skip
_ANTHROPIC = (
    "X-Api-Key", "Anthropic-Version", "Anthropic-Beta", "Anthropic-Dangerous-Direct-Browser-Access",
)  # fmt: skip
_HEADERS = ",".join(
    (
        "Authorization",
        "Content-Type",
        "User-Agent",
        "Accept",
        "X-Requested-With",
        "Openai-Beta",
        *(f"X-Stainless-{name}" for name in _STAINLESS),
        *_ANTHROPIC,
    )
)
_MAX_AGE_S = 43200


def parse_origins(text: str) -> tuple[str, ...]:
    """The value of OLLAMA_ORIGINS: origins with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


class Cors:
    """The rules of one server. Raises ValueError for an origin with two `*`."""

    def __init__(self, origins: Iterable[str]) -> None:
        patterns = (*origins, *BUILT_IN)
        for pattern in patterns:
            if pattern.count("*") > 1:
                raise ValueError(f"the origin {pattern!r} has more than one *")
        self.allows_all = "*" in patterns
        self._exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._wild = [
            (head, tail)
            for head, star, tail in (pattern.partition("*") for pattern in patterns)
            if star
        ]

    @staticmethod
    def applies(origin: str, host: str) -> bool:
        """A page of this very server needs no leave."""
        return bool(origin) and origin not in (f"http://{host}", f"https://{host}")

    def allows(self, origin: str) -> bool:
        if self.allows_all or origin in self._exact:
            return True
        return any(
            len(origin) >= len(head) + len(tail)
            and origin.startswith(head)
            and origin.endswith(tail)
            for head, tail in self._wild
        )

    def headers(self, origin: str) -> dict[str, str]:
        """For every answer to an allowed origin."""
        if self.allows_all:
            return {"Access-Control-Allow-Origin": "*"}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def preflight_headers(self, origin: str) -> dict[str, str]:
        """For the answer to OPTIONS."""
        headers = {
            **self.headers(origin),
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": str(_MAX_AGE_S),
        }
        if not self.allows_all:
            headers["Vary"] = (
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
            )
        return headers
