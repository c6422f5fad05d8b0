"""ServerService: about the server itself."""

from __future__ import annotations

from typing import Any

import grpc

from llamawire.v1 import server_service_pb2 as pb
from llamawire.v1 import server_service_pb2_grpc as pb_grpc

__all__ = ["ServerServicer"]


class ServerServicer(pb_grpc.ServerServiceServicer):
    """Knows the version."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def GetVersion(
        self, request: pb.GetVersionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(version=self._version)
