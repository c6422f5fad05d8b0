"""The engine's dataclasses and the public messages: the one file that knows both shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

from llamawire.engine.completion import Completion, CompletionRequest
from llamawire.engine.errors import InvalidArgument
from llamawire.engine.job import Accepted, Finished, Piece, Update
from llamawire.engine.options import Options
from llamawire.engine.scheduler import LoadedModel
from llamawire.engine.store import Details, ListedModel
from llamawire.v1 import generation_pb2, model_pb2, options_pb2

__all__ = [
    "completion_request",
    "given_options",
    "keep_alive_s",
    "loaded_message",
    "model_message",
    "response_messages",
]

REASONS = {
    "stop": generation_pb2.FINISH_REASON_STOP,
    "length": generation_pb2.FINISH_REASON_LENGTH,
    "context": generation_pb2.FINISH_REASON_CONTEXT,
    "deadline": generation_pb2.FINISH_REASON_DEADLINE,
}

CAPABILITIES = {
    "completion": model_pb2.CAPABILITY_COMPLETION,
    "tools": model_pb2.CAPABILITY_TOOLS,
    "insert": model_pb2.CAPABILITY_INSERT,
    "vision": model_pb2.CAPABILITY_VISION,
    "embedding": model_pb2.CAPABILITY_EMBEDDING,
    "thinking": model_pb2.CAPABILITY_THINKING,
    "audio": model_pb2.CAPABILITY_AUDIO,
}


# ---- requests ------------------------------------------------------------------------------------


def completion_request(request: generation_pb2.GenerateRequest) -> CompletionRequest:
    """The request as the engine reads it; InvalidArgument names a field that cannot be."""
    kind = request.WhichOneof("input")
    return CompletionRequest(
        model=request.model,
        prompt=request.prompt if kind != "prompt_tokens" else "",
        prompt_tokens=tuple(request.prompt_tokens.ids) if kind == "prompt_tokens" else None,
        suffix=request.suffix,
        images=tuple(request.images),
        system=request.system,
        template=request.template,
        raw=request.raw,
        context=tuple(request.context.ids) if request.HasField("context") else None,
        format=request.format.WhichOneof("kind") or "",
        options=given_options(request.options),
        keep_alive_s=keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None,
        truncate=request.truncate if request.HasField("truncate") else True,
        shift=request.shift if request.HasField("shift") else None,
        think=request.think.enabled if request.HasField("think") else None,
        logprobs=request.HasField("logprobs"),
        timeout_s=timeout_s(request.timeout) if request.HasField("timeout") else None,
    )


def given_options(options: options_pb2.Options) -> dict[str, object]:
    """The options that a request names, the stop list as a list."""
    given: dict[str, object] = {}
    for field, value in options.ListFields():
        given[field.name] = list(value.values) if field.name == "stop" else value
    return given


def keep_alive_s(duration: Duration) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    return math.inf if seconds < 0 else seconds


def timeout_s(duration: Duration) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    if seconds <= 0:
        raise InvalidArgument("timeout must be more than 0 seconds", field="timeout")
    return seconds


# ---- replies -------------------------------------------------------------------------------------


def response_messages(
    completion: Completion, updates: Iterable[Update], *, return_context: bool
) -> Iterable[generation_pb2.GenerateResponse]:
    """The fewest messages that carry `updates`: pieces that are ready together travel together."""
    pieces: list[generation_pb2.Piece] = []
    for update in updates:
        if isinstance(update, Piece):
            pieces.append(generation_pb2.Piece(text=update.text, token_ids=update.token_ids))
        elif isinstance(update, Accepted):
            yield generation_pb2.GenerateResponse(started=started_message(completion, update))
        else:
            if pieces:
                yield generation_pb2.GenerateResponse(pieces=generation_pb2.Pieces(pieces=pieces))
                pieces = []
            finished = finished_message(completion, update)
            if return_context:
                finished.context.ids.extend(completion.context_ids())
            yield generation_pb2.GenerateResponse(finished=finished)
    if pieces:
        yield generation_pb2.GenerateResponse(pieces=generation_pb2.Pieces(pieces=pieces))


def started_message(completion: Completion, accepted: Accepted) -> generation_pb2.Started:
    return generation_pb2.Started(
        model_digest=completion.model.digest,
        prompt_received_count=accepted.received_count,
        prompt_kept_count=accepted.kept_count,
        prompt_dropped_count=accepted.dropped_count,
        prompt_cached_count=accepted.cached_count,
        options=options_message(completion.options),
        messages_dropped_count=completion.messages_dropped_count,
    )


def finished_message(completion: Completion, finished: Finished) -> generation_pb2.Finished:
    accepted = completion.accepted
    return generation_pb2.Finished(
        reason=REASONS[finished.reason],
        prompt_count=accepted.kept_count if accepted else 0,
        prompt_dropped_count=accepted.dropped_count if accepted else 0,
        prompt_cached_count=accepted.cached_count if accepted else 0,
        generated_count=finished.generated_count,
        shift_count=finished.shift_count,
        resumed_count=finished.resumed_count,
        total_ns=completion.elapsed_ns,
        load_ns=completion.load_ns,
        queue_ns=finished.queue_ns,
        prompt_ns=finished.prompt_ns,
        generate_ns=finished.generate_ns,
    )


def options_message(options: Options) -> options_pb2.Options:
    values = {
        name: getattr(options, name)
        for name in options_pb2.Options.DESCRIPTOR.fields_by_name
        if name != "stop" and getattr(options, name) is not None
    }
    return options_pb2.Options(**values, stop=options_pb2.StopSequences(values=options.stop))


# ---- models --------------------------------------------------------------------------------------


def model_message(model: ListedModel) -> model_pb2.Model:
    message = model_pb2.Model(
        name=model.name.display,
        full_name=model.name.full,
        digest=model.digest,
        size_bytes=model.size,
        details=details_message(model.details),
        capabilities=[CAPABILITIES[c] for c in model.capabilities if c in CAPABILITIES],
    )
    message.modified_at.FromDatetime(model.modified_at)
    return message


def loaded_message(loaded: LoadedModel) -> model_pb2.LoadedModel:
    message = model_pb2.LoadedModel(
        name=loaded.model.name.display,
        digest=loaded.model.digest,
        size_bytes=loaded.size_bytes,
        size_vram_bytes=loaded.size_vram_bytes,
        details=details_message(loaded.model.details),
        num_ctx=loaded.num_ctx,
        num_parallel=loaded.num_parallel,
    )
    if loaded.expires_at is not None:
        message.expires_at.FromNanoseconds(int(loaded.expires_at * 1e9))
    return message


def details_message(details: Details) -> model_pb2.ModelDetails:
    return model_pb2.ModelDetails(
        parent_model=details.parent_model,
        format=details.format,
        family=details.family,
        families=details.families or (),
        parameter_size=details.parameter_size,
        quantization_level=details.quantization_level,
        context_length=details.context_length,
        embedding_length=details.embedding_length,
    )
