"""/api/pull and /api/push in JSON and protobuf: the part of `convert` that is about registries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamawire.v1 import model_service_pb2

from . import gojson

__all__ = [
    "TransferBody",
    "pull_request",
    "push_request",
    "read_pull",
    "read_push",
]


@dataclass(frozen=True)
class TransferBody:
    """The body of /api/pull and of /api/push; `model` is what the client wrote."""

    model: str
    insecure: bool
    username: str
    password: str
    stream: bool

    @property
    def credentials(self) -> model_service_pb2.RegistryCredentials | None:
        if not self.username:
            return None
        return model_service_pb2.RegistryCredentials(username=self.username, password=self.password)


_TRANSFER: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "insecure": gojson.boolean,
    "username": gojson.string,
    "password": gojson.string,
    "stream": gojson.boolean,
    "name": gojson.string,
}


def read_pull(body: bytes) -> TransferBody:
    return _read(body, "PullRequest")


def read_push(body: bytes) -> TransferBody:
    return _read(body, "PushRequest")


def _read(body: bytes, name: str) -> TransferBody:
    given: dict[str, Any] = gojson.decode(body, name, _TRANSFER)
    return TransferBody(
        model=given.get("model") or given.get("name") or "",
        insecure=given.get("insecure", False),
        username=given.get("username", ""),
        password=given.get("password", ""),
        stream=given.get("stream", True),
    )


def pull_request(body: TransferBody) -> model_service_pb2.PullModelRequest:
    return model_service_pb2.PullModelRequest(
        model=body.model.strip(), insecure=body.insecure, credentials=body.credentials
    )


def push_request(body: TransferBody) -> model_service_pb2.PushModelRequest:
    return model_service_pb2.PushModelRequest(
        model=body.model, insecure=body.insecure, credentials=body.credentials
    )
