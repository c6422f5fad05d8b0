"""The server as the commands see it: one channel, and the stubs of the public API."""

from __future__ import annotations

import functools

import grpc

from llamawire.cli.connection import Connection
from llamawire.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llamawire.v1.generation_service_pb2_grpc import GenerationServiceStub
from llamawire.v1.model_service_pb2_grpc import ModelServiceStub
from llamawire.v1.server_service_pb2_grpc import ServerServiceStub

__all__ = ["Client"]


class Client:
    """Opens its channel when a stub is first asked for. Every call raises grpc.RpcError when it
    fails."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
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
            self._opened = self.connection.channel()
        return self._opened
