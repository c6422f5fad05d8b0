"""Debian's docker-registry, started for a test: a registry that nobody here has written."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = shutil.which("docker-registry")
START_TIMEOUT_S = 20.0
# `tester` with the password `secret`; made with htpasswd -nbB.
HTPASSWD = "tester:$2y$05$1MBxLSj60E.iblownr2W0.cThdUujST1JfG9PXJAntj7f.ErvBqcG"

needs_docker_registry = pytest.mark.skipif(
    PROGRAM is None, reason="docker-registry is not installed (Debian: docker-registry)"
)


@dataclass(frozen=True)
class DockerRegistry:
    """A running registry."""

    host: str
    certificate: Path | None

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What trusts its certificate."""
        return self.certificate and ssl.create_default_context(cafile=self.certificate)

    def name(self, model: str) -> str:
        return f"{self.scheme}://{self.host}/{model}"


@contextlib.contextmanager
def docker_registry(
    folder: Path, *, has_tls: bool = False, has_password: bool = False
) -> Iterator[DockerRegistry]:
    """Runs one on a port of its own, with its data below `folder`."""
    assert PROGRAM is not None
    folder.mkdir(exist_ok=True)
    host = f"127.0.0.1:{_free_port()}"
    certificate = make_certificate(folder) if has_tls else None
    config = folder / "config.yml"
    config.write_text(_config(folder, host, certificate, has_password))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", config], stdout=log, stderr=log)
    try:
        _wait(host, process)
        yield DockerRegistry(host, certificate)
    finally:
        process.terminate()
        process.wait()


def _config(folder: Path, host: str, certificate: Path | None, has_password: bool) -> str:
    text = (
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http:\n  addr: {host}\n"
    )
    if certificate is not None:
        text += f"  tls: {{certificate: {certificate}, key: {certificate.with_suffix('.key')}}}\n"
    if has_password:
        (folder / "htpasswd").write_text(HTPASSWD + "\n")
        text += f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    return text


def make_certificate(folder: Path) -> Path:
    """A certificate that signs itself, for 127.0.0.1 and far.example."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate = folder / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:far.example", "-keyout", certificate.with_suffix(".key"),
         "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(host: str, process: subprocess.Popen[bytes]) -> None:
    address, _, port = host.partition(":")
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError("docker-registry did not start")
