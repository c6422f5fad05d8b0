"""JSON bodies and protobuf messages of the models' routes; the files beside it do the others.

A body is read into a frozen dataclass, since some of it never reaches the engine; requests are made
from that, and answers are dicts whose keys stand in the order that clients see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import timestamp_pb2

from llamawire.v1 import model_pb2, model_service_pb2

from . import gojson
from .durations import FOR_EVER_NS
from .structs import struct_of
from .times import local_time

__all__ = [
    "CAPABILITIES",
    "CopyBody",
    "CreateBody",
    "create_request",
    "loaded_model",
    "model_details",
    "progress_line",
    "read_copy",
    "read_create",
    "read_delete",
    "stored_model",
]

_SECOND = 10**9
CAPABILITIES: Mapping[int, str] = {
    model_pb2.CAPABILITY_COMPLETION: "completion",
    model_pb2.CAPABILITY_TOOLS: "tools",
    model_pb2.CAPABILITY_INSERT: "insert",
    model_pb2.CAPABILITY_VISION: "vision",
    model_pb2.CAPABILITY_EMBEDDING: "embedding",
    model_pb2.CAPABILITY_THINKING: "thinking",
    model_pb2.CAPABILITY_AUDIO: "audio",
}


def stored_model(model: model_pb2.Model) -> dict[str, object]:
    """An entry of /api/tags."""
    details = model_details(model.details)
    for key, value in (
        ("context_length", model.details.context_length),
        ("embedding_length", model.details.embedding_length),
    ):
        if value > 0:
            details[key] = value
    entry: dict[str, object] = {
        "name": model.name,
        "model": model.name,
        "modified_at": local_time(model.modified_at),
        "size": model.size_bytes,
        "digest": model.digest,
        "details": details,
    }
    names = [CAPABILITIES[one] for one in model.capabilities if one in CAPABILITIES]
    if names:
        entry["capabilities"] = names
    return entry


def loaded_model(model: model_pb2.LoadedModel, now_ns: int) -> dict[str, object]:
    """An entry of /api/ps. What never expires does so in 292 years, as upstream has it."""
    expires_at = model.expires_at
    if not model.HasField("expires_at"):
        seconds, nanos = divmod(now_ns + FOR_EVER_NS, _SECOND)
        expires_at = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    return {
        "name": model.name,
        "model": model.name,
        "size": model.size_bytes,
        "digest": model.digest,
        "details": {**model_details(model.details), "parent_model": ""},
        "expires_at": local_time(expires_at),
        "size_vram": model.size_vram_bytes,
        "context_length": model.num_ctx,
    }


def model_details(details: model_pb2.ModelDetails) -> dict[str, object]:
    return {
        "parent_model": details.parent_model,
        "format": details.format,
        "family": details.family,
        "families": list(details.families) or None,
        "parameter_size": details.parameter_size,
        "quantization_level": details.quantization_level,
    }


@dataclass(frozen=True)
class CopyBody:
    """The body of /api/copy."""

    source: str
    destination: str


def read_copy(body: bytes) -> CopyBody:
    leaves = {"source": gojson.string, "destination": gojson.string}
    given: dict[str, Any] = gojson.decode(body, "CopyRequest", leaves)
    return CopyBody(given.get("source", ""), given.get("destination", ""))


def read_delete(body: bytes) -> str:
    """The model's name; older clients call it `name`."""
    leaves = {"model": gojson.string, "name": gojson.string}
    given: dict[str, Any] = gojson.decode(body, "DeleteRequest", leaves)
    return given.get("model") or given.get("name") or ""


@dataclass(frozen=True)
class CreateBody:
    """The body of /api/create. None: not given."""

    model: str
    from_model: str
    files: dict[str, str] | None
    adapters: dict[str, str]
    draft_files: dict[str, str]
    draft_quantize: str
    remote_host: str
    stream: bool
    request: model_service_pb2.CreateModelRequest


def _read_digests(raw: bytes) -> dict[str, str]:
    if raw[0] != ord("{"):
        raise gojson.Mismatch(gojson.kind(raw), "map[string]string")
    found = gojson.members(raw)
    return {key: "" if value == b"null" else gojson.string(value) for key, value in found}


def _read_licenses(raw: bytes) -> list[str]:
    if gojson.kind(raw) == "string":
        return [gojson.string(raw)]
    return [gojson.string(item) for item in gojson.array(raw, "string") if item != b"null"]


def _read_messages(raw: bytes) -> list[model_pb2.StoredMessage]:
    leaves = {"role": gojson.string, "content": gojson.string}
    messages = []
    for item in gojson.array(raw, "[]api.Message"):
        given: dict[str, Any] = gojson.nested(item, "api.Alias", leaves)
        role = given.get("role", "").lower()
        messages.append(model_pb2.StoredMessage(role=role, content=given.get("content", "")))
    return messages


_CREATE: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "name": gojson.string,
    "from": gojson.string,
    "files": _read_digests,
    "adapters": _read_digests,
    "draft_files": _read_digests,
    "draft_quantize": gojson.string,
    "remote_host": gojson.string,
    "template": gojson.string,
    "system": gojson.string,
    "license": _read_licenses,
    "parameters": struct_of("parameters"),
    "messages": _read_messages,
    "quantize": gojson.string,
    "quantization": gojson.string,
    "renderer": gojson.string,
    "parser": gojson.string,
    "requires": gojson.string,
    "info": struct_of("info"),
    "stream": gojson.boolean,
}


def read_create(body: bytes) -> CreateBody:
    given: dict[str, Any] = gojson.decode(body, "CreateRequest", _CREATE)
    model = given.get("model") or given.get("name") or ""
    request = model_service_pb2.CreateModelRequest(
        model=model.strip(),
        files=given.get("files"),
        adapters=given.get("adapters"),
        template=given.get("template", ""),
        system=given.get("system", ""),
        licenses=given.get("license"),
        parameters=given.get("parameters"),
        messages=given.get("messages"),
        quantize=given.get("quantize") or given.get("quantization") or "",
        renderer=given.get("renderer", ""),
        parser=given.get("parser", ""),
        requires=given.get("requires", ""),
        info=given.get("info"),
    )
    return CreateBody(
        model=model,
        from_model=given.get("from", ""),
        files=given.get("files"),
        adapters=given.get("adapters", {}),
        draft_files=given.get("draft_files", {}),
        draft_quantize=given.get("draft_quantize", ""),
        remote_host=given.get("remote_host", ""),
        stream=given.get("stream", True),
        request=request,
    )


def create_request(body: CreateBody, from_name: str) -> model_service_pb2.CreateModelRequest:
    """`from_name` is the base as the engine knows it."""
    request = model_service_pb2.CreateModelRequest()
    request.CopyFrom(body.request)
    setattr(request, "from", from_name)
    return request


def progress_line(
    progress: model_service_pb2.CreateModelResponse
    | model_service_pb2.PullModelResponse
    | model_service_pb2.PushModelResponse,
) -> dict[str, object]:
    """A line of create, pull or push; what is zero or empty is left out, as upstream does."""
    fields: dict[str, object] = {
        "status": progress.status,
        "digest": progress.digest,
        "total": progress.total_bytes,
        "completed": progress.completed_bytes,
    }
    return {key: value for key, value in fields.items() if value}
