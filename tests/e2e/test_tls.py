"""TLS, and certificates of clients, on both doors and through the adapter apart."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from certificates import Authority, Pair
from e2e.daemon import Daemon
from llamawire.v1 import server_service_pb2, server_service_pb2_grpc


class Secured:
    """A daemon with TLS, whose certificates a test may change."""

    def __init__(self, folder: Path, *, asks_clients: bool) -> None:
        self.ours = Authority(folder / "ours")
        self.theirs = Authority(folder / "theirs")
        self.client = self.theirs.sign("client")
        self.used = Pair(folder / "cert.pem", folder / "key.pem")
        self.use(self.ours.sign("server"))
        asking = {"LLAMAWIRE_TLS_CLIENT_CA": str(self.theirs.cert)} if asks_clients else {}
        self.daemon = Daemon(
            folder, LLAMAWIRE_TLS_CERT=str(self.used.cert), LLAMAWIRE_TLS_KEY=str(self.used.key),
            **asking,
        )  # fmt: skip

    def use(self, pair: Pair) -> None:
        for source, target in ((pair.cert, self.used.cert), (pair.key, self.used.key)):
            shutil.copy(source, f"{target}.new")
            os.replace(f"{target}.new", target)

    def rest(self, *, client: Pair | None = None, authority: Authority | None = None,
             port: int = 0) -> Any:  # fmt: skip
        """The answer to `/api/version`."""
        context = ssl.create_default_context(cafile=str((authority or self.ours).cert))
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        url = f"https://127.0.0.1:{port or self.daemon.rest_port}/api/version"
        with urllib.request.urlopen(url, timeout=30, context=context) as answer:
            return json.load(answer)

    def grpc(self, *, client: Pair | None = None, authority: Authority | None = None) -> str:
        """The version, over a channel of its own."""
        credentials = grpc.ssl_channel_credentials(
            (authority or self.ours).cert.read_bytes(),
            client.key.read_bytes() if client else None,
            client.cert.read_bytes() if client else None,
        )
        address = f"127.0.0.1:{self.daemon.grpc_port}"
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(address, credentials, options) as channel:
            stub = server_service_pb2_grpc.ServerServiceStub(channel)
            return stub.GetVersion(server_service_pb2.GetVersionRequest(), timeout=30).version

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        host = f"https://127.0.0.1:{self.daemon.grpc_port}"
        return subprocess.run(
            [sys.executable, "-m", "llamawire.cli", "--host", host, *arguments],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Asks no client for a certificate."""
    secured = Secured(tmp_path_factory.mktemp("tls"), asks_clients=False)
    yield secured
    assert secured.daemon.stop() == 0


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Asks every client for one."""
    secured = Secured(tmp_path_factory.mktemp("mtls"), asks_clients=True)
    yield secured
    assert secured.daemon.stop() == 0


def test_both_doors_speak_tls_and_nothing_else(plain: Secured) -> None:
    assert plain.rest()["version"] == plain.grpc()
    with pytest.raises(OSError):  # noqa: PT011
        plain.daemon.request("GET", "/api/version")
    with plain.daemon.models() as stub, pytest.raises(grpc.RpcError):
        stub.ListModels(server_service_pb2.GetVersionRequest(), timeout=30)


def test_the_command_line_checks_who_answers(plain: Secured) -> None:
    listed = plain.cli("--cacert", str(plain.ours.cert), "list")
    assert "tiny" in listed.stdout, listed.stderr
    refused = plain.cli("--cacert", str(plain.theirs.cert), "list")
    assert refused.returncode == 1
    assert "Error: no safe connection" in refused.stderr


def test_the_adapter_apart_speaks_tls_to_both_sides(plain: Secured) -> None:
    environment = {
        "LLAMAWIRE_CACERT": str(plain.ours.cert), "LLAMAWIRE_TLS_CERT": str(plain.used.cert),
        "LLAMAWIRE_TLS_KEY": str(plain.used.key),
    }  # fmt: skip
    engine = ("--engine", f"https://127.0.0.1:{plain.daemon.grpc_port}")
    with plain.daemon.adapter(*engine, **environment) as port:
        assert "version" in plain.rest(port=port)


def test_certificates_are_read_again_when_they_change(plain: Secured) -> None:
    plain.use(plain.theirs.sign("another"))
    assert plain.rest(authority=plain.theirs)["version"] == plain.grpc(authority=plain.theirs)
    plain.used.cert.write_text("no certificate")
    assert plain.rest(authority=plain.theirs)["version"] == plain.grpc(authority=plain.theirs)
    plain.rest(authority=plain.theirs)
    # Once for each door, however many connect.
    assert plain.daemon.log.read_text().count("the old certificates stay in use") == 2
    plain.use(plain.ours.sign("server"))
    assert plain.rest()["version"] == plain.grpc()


def test_only_clients_with_a_certificate_are_let_in(mutual: Secured) -> None:
    assert mutual.rest(client=mutual.client)["version"] == mutual.grpc(client=mutual.client)
    stranger = mutual.ours.sign("stranger")
    for client in (None, stranger):
        with pytest.raises(OSError):  # noqa: PT011
            mutual.rest(client=client)
        with pytest.raises(grpc.RpcError):
            mutual.grpc(client=client)
    ours = ("--cacert", str(mutual.ours.cert), "--client-cert", str(mutual.client.cert),
            "--client-key", str(mutual.client.key))  # fmt: skip
    assert mutual.cli(*ours, "list").returncode == 0


@pytest.mark.parametrize("module", ["llamawire.engine", "llamawire.rest"])
def test_an_open_address_is_refused(tmp_path: Path, module: str) -> None:
    open_ = {"LLAMAWIRE_HOST": "0.0.0.0:0", "LLAMAWIRE_MODELS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", module],
        capture_output=True, text=True, env=os.environ | open_, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    said = done.stderr.strip().rpartition("\n")[2]
    assert "REST on 0.0.0.0:0 could be reached from other machines" in said
    assert "LLAMAWIRE_INSECURE=" in said


def test_an_adapter_does_not_open_what_its_engine_leaves_open(
    daemon: Daemon, tmp_path: Path
) -> None:
    arguments = ["--engine", f"127.0.0.1:{daemon.grpc_port}", "--listen", "0.0.0.0:0"]
    done = subprocess.run(
        [sys.executable, "-m", "llamawire.rest", *arguments], capture_output=True, text=True,
        env=os.environ | {"LLAMAWIRE_INSECURE": "plaintext"}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "asks nobody for a key" in done.stderr


def test_an_open_address_may_be_asked_for(daemon: Daemon) -> None:
    with daemon.adapter("--listen", "0.0.0.0:0", LLAMAWIRE_INSECURE="plaintext,anonymous") as port:
        url = f"http://127.0.0.1:{port}"
        assert daemon.request("GET", "/api/version", url=url).status == 200
