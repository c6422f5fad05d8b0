"""Certificates for tests, made by openssl as an operator would."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Pair"]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.pair = Pair(folder / "ca.pem", folder / "ca.key")
        openssl(
            "req", "-x509", *new_key(self.pair), "-subj", "/CN=authority", "-days", "2",
            "-out", str(self.pair.cert),
        )  # fmt: skip

    @property
    def cert(self) -> Path:
        return self.pair.cert

    def sign(self, name: str) -> Pair:
        """For 127.0.0.1 and localhost, and as good for a client."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        openssl(
            "req", "-x509", *new_key(pair), "-subj", f"/CN={name}", "-days", "2",
            "-CA", str(self.pair.cert), "-CAkey", str(self.pair.key),
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-addext", "basicConstraints=critical,CA:false",
            "-out", str(pair.cert),
        )  # fmt: skip
        return pair


def new_key(pair: Pair) -> list[str]:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    return [*curve, "-noenc", "-keyout", str(pair.key)]


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
