"""Certificates that cannot be used are named before anybody connects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from certificates import Authority
from llamawire.engine.tls import grpc_credentials
from llamawire.rest import TlsError, TlsFiles, server_context


def test_without_settings_there_is_no_tls() -> None:
    assert TlsFiles.of("", "", "") is None


@pytest.mark.parametrize("given", [("a", "", ""), ("", "a", ""), ("", "", "a")])
def test_a_certificate_and_its_key_go_together(given: tuple[str, str, str]) -> None:
    with pytest.raises(TlsError, match="both LLAMAWIRE_TLS_CERT and LLAMAWIRE_TLS_KEY"):
        TlsFiles.of(*given)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.sign("server")
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(pair.key)]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    (tmp_path / "empty").touch()
    good = TlsFiles(pair.cert, pair.key, authority.cert)
    server_context(good)
    grpc_credentials(good)
    for bad in (
        TlsFiles(tmp_path / "none.pem", pair.key),
        TlsFiles(pair.cert, tmp_path / "empty"),
        TlsFiles(pair.cert, authority.pair.key),
        TlsFiles(pair.cert, locked),
        TlsFiles(pair.cert, pair.key, tmp_path / "empty"),
    ):
        for use in (server_context, grpc_credentials):
            with pytest.raises(TlsError, match=str(bad.cert)):
                use(bad)
