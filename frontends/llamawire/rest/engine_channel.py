"""The channel from an adapter of its own to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import grpc
import grpc.aio

from llamawire.v1 import server_service_pb2, server_service_pb2_grpc

from .exposure import ExposedError
from .serving import ListenError

__all__ = ["check_engine_asks", "engine_channel"]

SECURE = "https://"
# Images travel in one message.
MESSAGE_BYTES_MAX = 64 << 20
OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 60_000),
)
ANSWER_TIMEOUT_S = 30.0
"""For an engine that may just be starting."""


def engine_channel(engine: str, environ: Mapping[str, str]) -> grpc.aio.Channel:
    """To `[https://]HOST:PORT`. Certificates are those of the command line: LLAMAWIRE_CACERT,
    LLAMAWIRE_CLIENT_CERT, LLAMAWIRE_CLIENT_KEY. ListenError for a file that cannot be read."""
    if not engine.startswith(SECURE):
        return grpc.aio.insecure_channel(engine, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(environ, "LLAMAWIRE_CACERT"),
        private_key=_read(environ, "LLAMAWIRE_CLIENT_KEY"),
        certificate_chain=_read(environ, "LLAMAWIRE_CLIENT_CERT"),
    )
    address = engine.removeprefix(SECURE).rstrip("/")
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)


def _read(environ: Mapping[str, str], variable: str) -> bytes | None:
    path = environ.get(variable, "").strip()
    if not path:
        return None
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ListenError(f"{variable}={path}: {error.strerror}") from error


async def check_engine_asks(channel: grpc.aio.Channel, engine: str) -> None:
    """ExposedError unless the engine asks who calls: an adapter that others can reach would let
    everybody in otherwise."""
    stub = server_service_pb2_grpc.ServerServiceStub(channel)
    try:
        await stub.GetVersion(
            server_service_pb2.GetVersionRequest(), wait_for_ready=True, timeout=ANSWER_TIMEOUT_S
        )
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            return
        raise ExposedError(
            f"the engine at {engine} could not be asked whether it wants API keys "
            f"({error.details()}); LLAMAWIRE_INSECURE=anonymous goes on without"
        ) from error
    raise ExposedError(
        f"REST could be reached from other machines, and the engine at {engine} asks nobody for a "
        "key (LLAMAWIRE_API_KEY_FILE of the engine, or LLAMAWIRE_TLS_CLIENT_CA here). Where a "
        "proxy or a closed network takes care of that, LLAMAWIRE_INSECURE=anonymous allows it."
    )
