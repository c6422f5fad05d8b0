"""The certificates of the gRPC door, read again when they change."""

from __future__ import annotations

import logging

import grpc

from llamawire.rest import TlsError, TlsFiles

__all__ = ["grpc_credentials"]

log = logging.getLogger(__name__)


def grpc_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow the files: a connection gets what they are when it begins. TlsError.

    New files that cannot be used leave the old ones in use, with a line in the log.
    """
    files.context()  # gRPC itself would say nothing of what is wrong with them
    state = files.state

    def follow() -> grpc.ServerCertificateConfiguration | None:
        nonlocal state
        now = files.state
        if now == state:
            return None
        state = now
        try:
            files.context()
            return configuration(files)
        except (OSError, TlsError) as error:
            log.error("%s; the old certificates stay in use", error)
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(files),
        follow,  # type: ignore[arg-type]  # None is "as before", which the stubs do not know
        require_client_authentication=files.client_ca is not None,
    )


def configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    pair = (files.key.read_bytes(), files.cert.read_bytes())
    authority = files.client_ca.read_bytes() if files.client_ca else None
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)
