"""The server as the commands see it: one channel, and the stubs of the public API."""

from __future__ import annotations

import functools

import grpc

from llamawire.cli.address import is_loopback
from llamawire.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llamawire.v1.generation_service_pb2_grpc import GenerationServiceStub
from llamawire.v1.model_service_pb2_grpc import ModelServiceStub
from llamawire.v1.server_service_pb2_grpc import ServerServiceStub

__all__ = ["Client"]

# Images travel in one message.
MESSAGE_BYTES_MAX = 64 << 20


class Client:
    """Opens its channel when a stub is first asked for. Every call raises grpc.RpcError when it
    fails."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._opened: grpc.Channel | None = None

    @functools.cached_property
    def models(self) -> ModelServiceStub:
        return ModelServiceStub(self._channel)

    @functools.cached_property
    def generation(self) -> GenerationServiceStub:
        return GenerationServiceStub(self._channel)

    @functools.cached_property
    def embedding(self) -> EmbeddingServiceStub:
        return EmbeddingServiceStub(self._channel)

    @functools.cached_property
    def server(self) -> ServerServiceStub:
        return ServerServiceStub(self._channel)

    def close(self) -> None:
        """Ends the calls that still run."""
        if self._opened:
            self._opened.close()

    @property
    def _channel(self) -> grpc.Channel:
        if self._opened is None:
            options = [
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                # A proxy cannot reach what listens on this machine only.
                ("grpc.enable_http_proxy", int(not is_loopback(self.address))),
            ]
            self._opened = grpc.insecure_channel(self.address, options=options)
        return self._opened
