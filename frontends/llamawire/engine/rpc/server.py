"""ServerService: about the server itself."""

from __future__ import annotations

from typing import Any

import grpc

from llamawire.engine.metrics import CONTENT_TYPE, Metrics
from llamawire.v1 import server_service_pb2 as pb
from llamawire.v1 import server_service_pb2_grpc as pb_grpc

__all__ = ["ServerServicer"]


class ServerServicer(pb_grpc.ServerServiceServicer):
    """Knows the version and the metrics."""

    def __init__(self, version: str, metrics: Metrics) -> None:
        self._version = version
        self._metrics = metrics

    async def GetVersion(
        self, request: pb.GetVersionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(version=self._version)

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetMetricsResponse:
        return pb.GetMetricsResponse(text=self._metrics.text(), content_type=CONTENT_TYPE)
