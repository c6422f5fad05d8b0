"""A call that is refused before its message is read."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc
from grpc_status import rpc_status

from llamawire.engine.rpc.status import rich_status

__all__ = ["Handler", "refusing"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def refusing(error: Exception) -> Handler:
    """A handler that ends any call with this error.

    It is one of streams, whatever the method is: so gRPC does not first wait for a message, which
    may be as long as messages may be. On the wire the end looks the same.
    """
    status = rpc_status.to_status(rich_status(error))

    async def refuse(requests: Any, context: Any) -> None:
        await context.abort_with_status(status)

    handler: Handler = grpc.stream_stream_rpc_method_handler(refuse)
    return handler
