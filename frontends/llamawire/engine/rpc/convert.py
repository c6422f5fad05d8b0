"""The engine's dataclasses and the public messages: the one file that knows both shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import cast

from google.protobuf.duration_pb2 import Duration

from llamawire.engine.catalog import described
from llamawire.engine.completion import Completion
from llamawire.engine.errors import InvalidArgument
from llamawire.engine.job import Accepted, Finished, Piece, TokenLogprob, Update
from llamawire.engine.options import Options
from llamawire.engine.prompt import ThinkValue
from llamawire.engine.requests import GenerateRequest
from llamawire.engine.scheduler import LoadedModel
from llamawire.engine.store import Details, ListedModel, MetadataValue, Scalar, ShownModel
from llamawire.engine.structure import Form
from llamawire.v1 import generation_pb2, model_pb2, model_service_pb2, options_pb2

__all__ = [
    "finished_message",
    "generate_reply",
    "given_options",
    "grouped",
    "keep_alive_s",
    "loaded_message",
    "logprob_message",
    "model_message",
    "read_format",
    "read_generate",
    "read_think",
    "read_thinking_budget",
    "show_message",
    "started_message",
    "timeout_s",
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

# The field of a MetadataValue for each of GGUF's kinds of values.
METADATA_FIELDS = {
    0: "unsigned",
    1: "integer",
    2: "unsigned",
    3: "integer",
    4: "unsigned",
    5: "integer",
    6: "number32",
    7: "flag",
    8: "text",
    10: "unsigned",
    11: "integer",
    12: "number",
}


FOR_EVER_S = 1 << 33
"""272 years. A timestamp ends in the year 9999, a duration may be longer."""


# ---- requests ------------------------------------------------------------------------------------


def read_generate(request: generation_pb2.GenerateRequest) -> GenerateRequest:
    """The request as the engine reads it; InvalidArgument names a field that cannot be."""
    kind = request.WhichOneof("input")
    return GenerateRequest(
        model=request.model,
        prompt=request.prompt if kind != "prompt_tokens" else "",
        prompt_tokens=tuple(request.prompt_tokens.ids) if kind == "prompt_tokens" else None,
        suffix=request.suffix,
        images=tuple(request.images),
        system=request.system,
        template=request.template,
        raw=request.raw,
        context=tuple(request.context.ids) if request.HasField("context") else None,
        format=read_format(request.format),
        options=given_options(request.options),
        keep_alive_s=keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None,
        truncate=request.truncate if request.HasField("truncate") else True,
        shift=request.shift if request.HasField("shift") else None,
        think=read_think(request.think) if request.HasField("think") else None,
        thinking_budget=read_thinking_budget(request.think),
        top_logprobs=request.logprobs.top if request.HasField("logprobs") else None,
        timeout_s=timeout_s(request.timeout) if request.HasField("timeout") else None,
        priority=request.priority,
        user=request.user,
    )


def read_format(message: generation_pb2.Format) -> Form | None:
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    return Form(kind, "" if kind == "json" else getattr(message, kind))


def read_think(think: generation_pb2.Think) -> ThinkValue:
    if not think.enabled:
        return False
    if think.level not in ("", "low", "medium", "high", "max"):
        raise InvalidArgument("think.level must be low, medium, high or max", field="think.level")
    return cast("ThinkValue", think.level) if think.level else True


def read_thinking_budget(think: generation_pb2.Think) -> int | None:
    return think.budget_tokens if think.HasField("budget_tokens") else None


def given_options(options: options_pb2.Options) -> dict[str, object]:
    """The options that a request names, the stop list as a list."""
    given: dict[str, object] = {}
    for field, value in options.ListFields():
        given[field.name] = list(value.values) if field.name == "stop" else value
    return given


def keep_alive_s(duration: Duration) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    return seconds if 0 <= seconds < FOR_EVER_S else math.inf


def timeout_s(duration: Duration) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    if seconds <= 0:
        raise InvalidArgument("timeout must be more than 0 seconds", field="timeout")
    return seconds


# ---- replies -------------------------------------------------------------------------------------


def grouped(updates: Iterable[Update]) -> Iterator[Accepted | list[Piece] | Finished]:
    """Pieces that are ready together travel together."""
    pieces: list[Piece] = []
    for update in updates:
        if isinstance(update, Piece):
            pieces.append(update)
            continue
        if pieces:
            yield pieces
            pieces = []
        yield update
    if pieces:
        yield pieces


def generate_reply(
    completion: Completion, group: Accepted | list[Piece] | Finished, *, return_context: bool
) -> generation_pb2.GenerateResponse:
    """One message of the stream that answers a prompt."""
    if isinstance(group, Accepted):
        return generation_pb2.GenerateResponse(started=started_message(completion, group))
    if isinstance(group, Finished):
        finished = finished_message(completion, group)
        if return_context:
            finished.context.ids.extend(completion.context_ids())
        return generation_pb2.GenerateResponse(finished=finished)
    pieces = [
        generation_pb2.Piece(
            text=each.text,
            token_ids=each.token_ids,
            thinking=each.thinking,
            logprobs=map(logprob_message, each.logprobs),
        )
        for each in group
    ]
    return generation_pb2.GenerateResponse(pieces=generation_pb2.Pieces(pieces=pieces))


def logprob_message(logprob: TokenLogprob) -> generation_pb2.TokenLogprob:
    return generation_pb2.TokenLogprob(
        token=logprob.token,
        logprob=logprob.logprob,
        top=[generation_pb2.TopLogprob(token=token, logprob=value) for token, value in logprob.top],
    )


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
        num_thread=loaded.num_thread,
        num_thread_prefill=loaded.num_thread_prefill,
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


def show_message(shown: ShownModel) -> model_service_pb2.ShowModelResponse:
    model = shown.model
    return model_service_pb2.ShowModelResponse(
        model=model_message(described(model)),
        licenses=model.licenses,
        modelfile=shown.modelfile,
        parameters=shown.parameters,
        template=shown.template,
        system=shown.system,
        messages=[
            model_pb2.StoredMessage(role=message.role, content=message.content)
            for message in model.messages
        ],
        model_info={key: metadata_message(value) for key, value in shown.info.items()},
        projector_info={
            key: metadata_message(value) for key, value in shown.projector_info.items()
        },
        tensors=[
            model_pb2.Tensor(name=tensor.name, type=tensor.type_name, shape=tensor.shape)
            for tensor in shown.tensors
        ],
        requires=model.config.requires,
        remote_model=model.config.remote_model,
        remote_host=model.config.remote_host,
    )


def metadata_message(value: MetadataValue) -> model_pb2.MetadataValue:
    field = METADATA_FIELDS[value.kind]
    if isinstance(value, Scalar):
        return model_pb2.MetadataValue(**{field: value.value})  # type: ignore[arg-type]
    if isinstance(value.elements, bytes):
        return model_pb2.MetadataValue(data=value.elements)
    elements = value.elements or ()
    values = [model_pb2.MetadataValue(**{field: item}) for item in elements]  # type: ignore[arg-type]
    return model_pb2.MetadataValue(
        array=model_pb2.MetadataArray(values=values, omitted=value.elements is None)
    )
