"""/api/show in JSON and protobuf: the part of `convert` that is about one model in full."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf import struct_pb2

from llamawire.v1 import model_pb2, model_service_pb2

from . import gojson
from .convert import CAPABILITIES, model_details
from .gofloat import number32_text, number_text
from .structs import struct_of
from .times import local_time

__all__ = ["ShowBody", "read_show", "show_answer", "show_request"]


@dataclass(frozen=True)
class ShowBody:
    """The body of /api/show."""

    model: str
    verbose: bool
    system: str
    options: struct_pb2.Struct | None

    @property
    def is_local_only(self) -> bool:
        """The name asks for a model that runs here."""
        return self.model.strip().lower().endswith(":local")


# Clients send a template, which upstream checks for being a string and then forgets.
_SHOW: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "system": gojson.string,
    "template": gojson.string,
    "verbose": gojson.boolean,
    "options": struct_of("options"),
    "name": gojson.string,
}


def read_show(body: bytes) -> ShowBody:
    """Older clients call the model `name`."""
    given: dict[str, Any] = gojson.decode(body, "ShowRequest", _SHOW)
    return ShowBody(
        model=given.get("model") or given.get("name") or "",
        verbose=given.get("verbose", False),
        system=given.get("system", ""),
        options=given.get("options"),
    )


def show_request(body: ShowBody, name: str) -> model_service_pb2.ShowModelRequest:
    """`name` is the model's name as the engine knows it."""
    return model_service_pb2.ShowModelRequest(
        model=name, verbose=body.verbose, system=body.system, options=body.options
    )


def show_answer(
    shown: model_service_pb2.ShowModelResponse, base_name: str | None = None
) -> dict[str, object]:
    """The answer. `base_name` is put into the metadata in place of what the file says."""
    model = shown.model
    info = _metadata(shown.model_info)
    if base_name is not None:
        info = dict(sorted((info | {"general.basename": base_name}).items()))
    names = [CAPABILITIES[one] for one in model.capabilities if one in CAPABILITIES]
    fields: dict[str, object] = {
        "license": "\n".join(shown.licenses),
        "modelfile": shown.modelfile,
        "parameters": shown.parameters,
        "template": shown.template,
        "system": shown.system,
        "details": model_details(model.details),
        "messages": [{"role": one.role, "content": one.content} for one in shown.messages],
        "remote_model": shown.remote_model,
        "remote_host": shown.remote_host,
        "model_info": info,
        "projector_info": _metadata(shown.projector_info),
        "tensors": [_tensor(tensor) for tensor in shown.tensors],
        "capabilities": names,
        "modified_at": local_time(model.modified_at),
        "requires": shown.requires,
    }
    always = ("details", "model_info", "modified_at")
    return {key: value for key, value in fields.items() if value or key in always}


def _tensor(tensor: model_pb2.Tensor) -> dict[str, object]:
    return {"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape)}


def _metadata(values: Mapping[str, model_pb2.MetadataValue]) -> dict[str, object]:
    """Sorted, as Go sorts the keys of its maps; code points sort as their bytes do."""
    return {key: _value(values[key]) for key in sorted(values)}


def _value(value: model_pb2.MetadataValue) -> object:
    kind = value.WhichOneof("kind")
    if kind == "array":
        return None if value.array.omitted else _list(value.array.values)
    if kind == "data":
        return base64.b64encode(value.data).decode()
    return _scalar(value, kind)


def _list(values: Iterable[model_pb2.MetadataValue]) -> list[object]:
    return [_scalar(value, value.WhichOneof("kind")) for value in values]


def _scalar(value: model_pb2.MetadataValue, kind: str | None) -> object:
    if kind == "number32":
        return msgspec.Raw(number32_text(value.number32))
    if kind == "number":
        return msgspec.Raw(number_text(value.number))
    return None if kind is None else getattr(value, kind)
