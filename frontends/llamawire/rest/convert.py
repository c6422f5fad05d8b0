"""JSON bodies and protobuf messages: the one file that knows the names in both.

A body is read into a frozen dataclass, since some of it never reaches the engine; requests are made
from that, and answers are dicts whose keys stand in the order that clients see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

from llamawire.v1 import generation_pb2, model_pb2, model_service_pb2, options_pb2

from . import gojson
from .durations import FOR_EVER_NS, read_keep_alive, read_timeout
from .gotext import quote
from .images import read_image
from .options import ReadOptions, read_options
from .times import local_time

__all__ = [
    "CopyBody",
    "CreateBody",
    "GenerateBody",
    "create_progress",
    "create_request",
    "debug_answer",
    "final_answer",
    "generate_request",
    "load_answer",
    "load_request",
    "loaded_model",
    "read_copy",
    "read_create",
    "read_delete",
    "read_generate",
    "stored_model",
]

_SECOND = 10**9
_INT32 = range(-(1 << 31), 1 << 31)
_THINK_LEVELS = ("high", "medium", "low", "max")
_CAPABILITIES: Mapping[int, str] = {
    model_pb2.CAPABILITY_COMPLETION: "completion",
    model_pb2.CAPABILITY_TOOLS: "tools",
    model_pb2.CAPABILITY_INSERT: "insert",
    model_pb2.CAPABILITY_VISION: "vision",
    model_pb2.CAPABILITY_EMBEDDING: "embedding",
    model_pb2.CAPABILITY_THINKING: "thinking",
    model_pb2.CAPABILITY_AUDIO: "audio",
}
_DONE_REASONS: Mapping[int, str] = {
    generation_pb2.FINISH_REASON_STOP: "stop",
    generation_pb2.FINISH_REASON_LENGTH: "length",
    generation_pb2.FINISH_REASON_CONTEXT: "length",
    generation_pb2.FINISH_REASON_DEADLINE: "deadline",
}


@dataclass(frozen=True)
class GenerateBody:
    """The body of /api/generate. None: not given."""

    model: str
    prompt: str
    suffix: str
    system: str
    template: str
    raw: bool
    stream: bool
    context: list[int] | None
    images: list[bytes]
    options: ReadOptions
    # As written, or empty for none.
    format: bytes
    think: generation_pb2.Think | None
    truncate: bool | None
    shift: bool | None
    logprobs: bool
    top_logprobs: int
    keep_alive_ns: int | None
    timeout_ns: int | None
    debug_render_only: bool

    @property
    def is_unload(self) -> bool:
        return not self.prompt and self.keep_alive_ns == 0

    @property
    def has_raw_conflict(self) -> bool:
        return self.raw and bool(self.template or self.system or self.context)

    @property
    def format_error(self) -> str | None:
        """What is wrong with the form of `format`, if anything."""
        if not self.format or self.format == b'"json"' or self.format[:1] == b"{":
            return None
        written = quote(self.format.decode("utf-8", "replace"))
        return f'invalid format: {written}; expected "json" or a valid JSON Schema object'


def _read_context(raw: bytes) -> list[int]:
    ids = gojson.integers(raw)
    for token in ids:
        if token not in _INT32:
            raise gojson.DecodeError(f"context holds {token}, which is no token id")
    return ids


def _read_images(raw: bytes) -> list[bytes]:
    found = gojson.array(raw, "[]api.ImageData")
    return [b"" if item == b"null" else read_image(item) for item in found]


def _read_think(raw: bytes) -> generation_pb2.Think:
    if gojson.kind(raw) == "bool":
        return generation_pb2.Think(enabled=gojson.boolean(raw))
    if gojson.kind(raw) != "string":
        text = 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'
        raise gojson.DecodeError(text)
    level = gojson.string(raw)
    if level not in _THINK_LEVELS:
        raise gojson.DecodeError(
            f"invalid think value: {quote(level)} "
            '(must be "high", "medium", "low", "max", true, or false)'
        )
    return generation_pb2.Think(enabled=True, level=level)


_GENERATE: Mapping[str, gojson.Leaf] = {
    "model": gojson.string,
    "prompt": gojson.string,
    "suffix": gojson.string,
    "system": gojson.string,
    "template": gojson.string,
    "context": _read_context,
    "stream": gojson.boolean,
    "raw": gojson.boolean,
    "format": gojson.raw_text,
    "keep_alive": read_keep_alive,
    "images": _read_images,
    "options": read_options,
    "think": _read_think,
    "truncate": gojson.boolean,
    "shift": gojson.boolean,
    "logprobs": gojson.boolean,
    "top_logprobs": gojson.integer,
    "_debug_render_only": gojson.boolean,
    "timeout": read_timeout,
}


def read_generate(body: bytes) -> GenerateBody:
    given: dict[str, Any] = gojson.decode(body, "GenerateRequest", _GENERATE)
    written = given.get("format", b"")
    return GenerateBody(
        model=given.get("model", ""),
        prompt=given.get("prompt", ""),
        suffix=given.get("suffix", ""),
        system=given.get("system", ""),
        template=given.get("template", ""),
        raw=given.get("raw", False),
        stream=given.get("stream", True),
        context=given.get("context"),
        images=given.get("images", []),
        options=given.get("options") or ReadOptions(options_pb2.Options()),
        format=b"" if written == b'""' else written,
        think=given.get("think"),
        truncate=given.get("truncate"),
        shift=given.get("shift"),
        logprobs=given.get("logprobs", False),
        top_logprobs=given.get("top_logprobs", 0),
        keep_alive_ns=given.get("keep_alive"),
        timeout_ns=given.get("timeout"),
        debug_render_only=given.get("_debug_render_only", False),
    )


def generate_request(body: GenerateBody, name: str) -> generation_pb2.GenerateRequest:
    """`name` is the model's name as the engine knows it, without spaces and source suffix."""
    return generation_pb2.GenerateRequest(
        model=name,
        prompt=body.prompt,
        suffix=body.suffix,
        images=body.images,
        system=body.system,
        template=body.template,
        raw=body.raw,
        context=None if body.context is None else generation_pb2.TokenIds(ids=body.context),
        format=_format(body.format),
        options=body.options.options,
        keep_alive=_duration(body.keep_alive_ns),
        truncate=body.truncate,
        shift=body.shift,
        think=body.think,
        logprobs=generation_pb2.Logprobs(top=body.top_logprobs) if body.logprobs else None,
        timeout=_duration(body.timeout_ns),
        return_context=not body.raw,
    )


def load_request(body: GenerateBody, name: str) -> model_service_pb2.LoadRequest:
    return model_service_pb2.LoadRequest(
        model=name, options=body.options.options, keep_alive=_duration(body.keep_alive_ns)
    )


def _format(written: bytes) -> generation_pb2.Format | None:
    if not written:
        return None
    if written == b'"json"':
        return generation_pb2.Format(json=generation_pb2.JsonObject())
    return generation_pb2.Format(json_schema=written.decode("utf-8", "replace"))


def _duration(ns: int | None) -> duration_pb2.Duration | None:
    if ns is None:
        return None
    seconds, nanos = divmod(abs(ns), _SECOND)
    sign = -1 if ns < 0 else 1
    return duration_pb2.Duration(seconds=sign * seconds, nanos=sign * nanos)


def load_answer(model: str, created_at: str, reason: str) -> dict[str, object]:
    """Answers a request without a prompt; `reason` is `load` or `unload`."""
    return {
        "model": model,
        "created_at": created_at,
        "response": "",
        "done": True,
        "done_reason": reason,
    }


def debug_answer(model: str, created_at: str, prompt: str, image_count: int) -> dict[str, object]:
    info: dict[str, object] = {"rendered_template": prompt}
    if image_count:
        info["image_count"] = image_count
    return {
        "model": model,
        "created_at": created_at,
        "response": "",
        "done": False,
        "_debug_info": info,
    }


def final_answer(
    model: str,
    created_at: str,
    response: str,
    finished: generation_pb2.Finished,
    messages_dropped_count: int,
) -> dict[str, object]:
    """The last object. What is zero or empty is left out, as upstream does.

    The last two keys are ours: a prompt is never cut in silence.
    """
    answer: dict[str, object] = {
        "model": model,
        "created_at": created_at,
        "response": response,
        "done": True,
        "done_reason": _DONE_REASONS.get(finished.reason, "stop"),
    }
    counts: dict[str, object] = {
        "context": list(finished.context.ids),
        "total_duration": finished.total_ns,
        "load_duration": finished.load_ns,
        "prompt_eval_count": finished.prompt_count,
        "prompt_eval_duration": finished.prompt_ns,
        "eval_count": finished.generated_count,
        "eval_duration": finished.generate_ns,
    }
    answer.update((key, value) for key, value in counts.items() if value)
    if finished.prompt_dropped_count or messages_dropped_count:
        answer["prompt_dropped_count"] = finished.prompt_dropped_count
    if messages_dropped_count:
        answer["messages_dropped_count"] = messages_dropped_count
    return answer


def stored_model(model: model_pb2.Model) -> dict[str, object]:
    """An entry of /api/tags."""
    details = _details(model.details)
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
    names = [_CAPABILITIES[one] for one in model.capabilities if one in _CAPABILITIES]
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
        "details": {**_details(model.details), "parent_model": ""},
        "expires_at": local_time(expires_at),
        "size_vram": model.size_vram_bytes,
        "context_length": model.num_ctx,
    }


def _details(details: model_pb2.ModelDetails) -> dict[str, object]:
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


def _read_struct(raw: bytes) -> struct_pb2.Struct:
    if raw[0] != ord("{"):
        raise gojson.Mismatch(gojson.kind(raw), "map[string]interface {}")
    struct = struct_pb2.Struct()
    try:
        struct.update(msgspec.json.decode(raw))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise gojson.DecodeError(f"an object cannot be read: {error}") from None
    return struct


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
    "template": gojson.string,
    "system": gojson.string,
    "license": _read_licenses,
    "parameters": _read_struct,
    "messages": _read_messages,
    "quantize": gojson.string,
    "quantization": gojson.string,
    "renderer": gojson.string,
    "parser": gojson.string,
    "requires": gojson.string,
    "info": _read_struct,
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
        stream=given.get("stream", True),
        request=request,
    )


def create_request(body: CreateBody, from_name: str) -> model_service_pb2.CreateModelRequest:
    """`from_name` is the base as the engine knows it."""
    request = model_service_pb2.CreateModelRequest()
    request.CopyFrom(body.request)
    setattr(request, "from", from_name)
    return request


def create_progress(progress: model_service_pb2.CreateModelResponse) -> dict[str, object]:
    """A line of /api/create."""
    fields: dict[str, object] = {
        "status": progress.status,
        "digest": progress.digest,
        "total": progress.total_bytes,
        "completed": progress.completed_bytes,
    }
    return {key: value for key, value in fields.items() if value}
