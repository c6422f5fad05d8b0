"""Certificates of a server that listens: checked at the start, and read again when they change."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from .serving import ListenError

__all__ = ["TlsError", "TlsFiles", "server_context"]

logger = logging.getLogger("llamawire.rest")


class TlsError(ListenError):
    """The certificates cannot be used; the message names the files."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files. With `client_ca`, only clients with a certificate of it are let in."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(cls, cert: str, key: str, client_ca: str) -> TlsFiles | None:
        """What the settings name; None where they name nothing. TlsError."""
        if not (cert or key or client_ca):
            return None
        if not (cert and key):
            raise TlsError("TLS needs both LLAMAWIRE_TLS_CERT and LLAMAWIRE_TLS_KEY")
        authority = Path(client_ca).expanduser() if client_ca else None
        return cls(Path(cert).expanduser(), Path(key).expanduser(), authority)

    @property
    def state(self) -> tuple[tuple[int, int] | None, ...]:
        """Another value when a file has changed, come or gone."""
        return tuple(_state(path) for path in (self.cert, self.key, self.client_ca) if path)

    def context(self) -> ssl.SSLContext:
        """For one state of the files. TlsError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # A key with a password would ask the terminal for it.
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            names = ", ".join(str(path) for path in (self.cert, self.key, self.client_ca) if path)
            raise TlsError(f"the certificates cannot be used ({names}): {error}") from error
        context.set_alpn_protocols(["http/1.1"])
        return context


def _state(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that follows the files: a connection gets what they are when it begins. TlsError.

    New files that cannot be used leave the old ones in use, with a line in the log.
    """
    outer = current = files.context()
    state = files.state

    def follow(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal current, state
        now = files.state
        if now != state:
            state = now
            try:
                current = files.context()
            except TlsError as error:
                logger.error("%s; the old certificates stay in use", error)
        if current is not outer:
            connection.context = current

    # Called at the beginning of each handshake, with a name of the server in it or without.
    outer.sni_callback = follow
    return outer
