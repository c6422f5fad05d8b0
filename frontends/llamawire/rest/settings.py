"""The adapter's limits and the few things that can be chosen."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RestSettings"]


@dataclass(frozen=True)
class RestSettings:
    """One instance is handed to `create_app`."""

    # Origins allowed besides the built-in ones; at most one `*` in each, `*` alone allows all.
    origins: tuple[str, ...] = ()
    # Longest JSON body; a longer one answers 413. Uploads of blobs are streamed without a limit.
    body_bytes_max: int = 64 << 20
    # Longest header or request line, as in Go's server.
    header_bytes_max: int = 1 << 20
    # Connections that wait for `accept`.
    backlog: int = 1024
    # Requests under way; the next one is answered 503.
    requests_max: int = 1024
    # A connection between two requests, or whose headers do not come, is closed after this.
    idle_timeout_s: float = 120.0
    # A body of which nothing comes for so long is given up, with 408.
    body_stall_timeout_s: float = 60.0
    # How long running requests may go on after a stop was asked for.
    shutdown_timeout_s: float = 30.0
