"""What can go wrong, and the sentence for it.

CliError               a sentence for the user; the command ends with exit code 1
grpc.RpcError          what a call raises; `Failure.of` reads it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import (  # type: ignore[import-untyped, unused-ignore]
    error_details_pb2,
    status_pb2,
)

__all__ = ["CliError", "Failure"]

_DETAILS = "grpc-status-details-bin"


class CliError(Exception):
    """Ends a command; the text is shown after `Error: `."""


@dataclass(frozen=True)
class Failure:
    """What a failed call says. `reason` is one of docs/errors.md, or empty if no server of ours
    has spoken."""

    code: grpc.StatusCode
    reason: str
    message: str

    @classmethod
    def of(cls, error: grpc.RpcError) -> Failure:
        call = cast("grpc.Call", error)
        status = _status(call)
        return cls(call.code(), _reason(status), status.message or call.details() or "")

    @property
    def is_not_found(self) -> bool:
        return self.code == grpc.StatusCode.NOT_FOUND

    @property
    def is_unreachable(self) -> bool:
        """Nobody answers at the address."""
        return self.code == grpc.StatusCode.UNAVAILABLE and not self.reason

    def text(self, address: str) -> str:
        """The sentence for the user."""
        if self.is_unreachable and address.startswith("https://"):
            return (
                f"no safe connection to a llamawire server at {address} "
                f"(--cacert, --client-cert): {self.message}"
            )
        if self.is_unreachable:
            return (
                f"could not connect to llamawire server at {address}, "
                "run 'llamawire serve' to start it"
            )
        if self.code == grpc.StatusCode.UNIMPLEMENTED and not self.reason:
            return f"the server at {address} cannot do this; is its version older than this one's?"
        return self.message or self.code.name.lower().replace("_", " ")


def _status(call: grpc.Call) -> status_pb2.Status:
    metadata = cast("Iterable[tuple[str, str | bytes]]", call.trailing_metadata() or ())
    for key, value in metadata:
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""
