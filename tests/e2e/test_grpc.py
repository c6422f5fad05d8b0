"""The gRPC API against a real daemon."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from e2e.daemon import Daemon
from llamawire.v1 import (
    generation_pb2,
    generation_service_pb2,
    model_service_pb2,
    server_service_pb2,
    server_service_pb2_grpc,
)
from llamawire.v1.options_pb2 import Options, StopSequences

Request = generation_pb2.GenerateRequest
SKY = "Why is the sky blue?"


def generate(
    daemon: Daemon, **fields: object
) -> tuple[generation_pb2.Started, list[generation_pb2.Piece], generation_pb2.Finished]:
    with daemon.generation() as stub:
        replies = list(stub.Generate(Request(**({"model": "tiny"} | fields)), timeout=60))
    kinds = [reply.WhichOneof("event") for reply in replies]
    assert kinds == ["started", *["pieces"] * (len(kinds) - 2), "finished"]
    pieces = [piece for reply in replies[1:-1] for piece in reply.pieces.pieces]
    return replies[0].started, pieces, replies[-1].finished


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.details[0].Unpack(info)
    return info


def test_the_stream_tells_all_there_is_to_know(daemon: Daemon) -> None:
    options = Options(seed=5, temperature=0, num_predict=200)
    started, pieces, finished = generate(daemon, prompt=SKY, options=options, return_context=True)
    assert "scatter" in "".join(piece.text for piece in pieces)
    assert started.prompt_received_count == started.prompt_kept_count > 0
    assert started.prompt_dropped_count == 0
    assert (started.options.seed, started.options.top_k) == (5, 40)
    assert len(started.model_digest) == 64
    assert finished.reason == generation_pb2.FINISH_REASON_STOP
    assert finished.prompt_count == started.prompt_kept_count
    generated = [token for piece in pieces for token in piece.token_ids]
    assert finished.generated_count - len(generated) in (0, 1)  # the end token has no text
    assert list(finished.context.ids)[-len(generated) :] == generated
    assert finished.total_ns >= finished.prompt_ns + finished.generate_ns > 0


def test_an_unset_seed_is_told_and_repeats_the_answer(daemon: Daemon) -> None:
    options = Options(temperature=2, num_predict=20)
    started, pieces, _ = generate(daemon, prompt=SKY, options=options)
    options.seed = started.options.seed
    again = generate(daemon, prompt=SKY, options=options)[1]
    assert [p.text for p in again] == [p.text for p in pieces]


def test_token_ids_go_in_as_they_are(daemon: Daemon) -> None:
    with daemon.generation() as stub:
        tokens = stub.Tokenize(
            generation_service_pb2.TokenizeRequest(model="tiny", text="the sky is")
        ).tokens
        text = stub.Detokenize(
            generation_service_pb2.DetokenizeRequest(model="tiny", tokens=tokens)
        ).text
    assert text == "the sky is"
    options = Options(num_predict=4, temperature=0)
    started, by_ids, _ = generate(daemon, prompt_tokens=tokens, options=options)
    assert started.prompt_received_count == len(tokens.ids)
    by_text = generate(daemon, prompt="the sky is", raw=True, options=options)[1]
    assert [p.text for p in by_ids] == [p.text for p in by_text]


def test_a_second_request_finds_the_prompt_in_the_cache(daemon: Daemon) -> None:
    prompt = "Tell me something. " * 20
    options = Options(num_predict=1)
    first = generate(daemon, prompt=prompt, raw=True, options=options)[0]
    second = generate(daemon, prompt=prompt, raw=True, options=options)[0]
    assert second.prompt_cached_count > first.prompt_received_count // 2


def test_stop_sequences_and_length_are_told_apart(daemon: Daemon) -> None:
    _, pieces, finished = generate(
        daemon, prompt=SKY, options=Options(temperature=0, stop=StopSequences(values=[" "]))
    )
    assert finished.reason == generation_pb2.FINISH_REASON_STOP
    assert " " not in "".join(piece.text for piece in pieces)
    finished = generate(daemon, prompt=SKY, options=Options(num_predict=2))[2]
    assert finished.reason == generation_pb2.FINISH_REASON_LENGTH


def test_a_servers_timeout_is_an_end_and_a_clients_deadline_an_error(daemon: Daemon) -> None:
    endless = Options(num_predict=30_000, num_ctx=4096)
    request = Request(model="endless", prompt=SKY, raw=True, options=endless)
    request.timeout.FromMilliseconds(200)
    with daemon.generation() as stub:
        last = list(stub.Generate(request))[-1]
        assert last.finished.reason == generation_pb2.FINISH_REASON_DEADLINE
        request.ClearField("timeout")
        with pytest.raises(grpc.RpcError) as error:
            list(stub.Generate(request, timeout=0.2))
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"model": "nope"}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ({"model": "a b"}, "INVALID_ARGUMENT", "INVALID_MODEL_NAME"),
        ({"model": ""}, "INVALID_ARGUMENT", "MODEL_REQUIRED"),
        ({"raw": True, "system": "s"}, "INVALID_ARGUMENT", "RAW_CONFLICT"),
        ({"model": "endless", "suffix": "x"}, "FAILED_PRECONDITION", "UNSUPPORTED_CAPABILITY"),
        ({"images": [b"x"]}, "INVALID_ARGUMENT", "IMAGES_UNSUPPORTED"),
        ({"format": {"json_schema": '{"not":{}}'}}, "INVALID_ARGUMENT", "INVALID_FORMAT"),
        ({"format": {"regex": "(?=x)"}}, "INVALID_ARGUMENT", "INVALID_FORMAT"),
        ({"format": {"grammar": "root ::= nope"}}, "INVALID_ARGUMENT", "INVALID_FORMAT"),
        ({"format": {"grammar": 'root ::= root "a"'}}, "INVALID_ARGUMENT", "INVALID_FORMAT"),
        ({"logprobs": {"top": 21}}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"options": Options(num_batch=0)}, "INVALID_ARGUMENT", "INVALID_OPTION"),
        ({"template": "{{ .X"}, "INVALID_ARGUMENT", "INVALID_TEMPLATE"),
        ({"template": "{{ index .Messages 9 }}"}, "INVALID_ARGUMENT", "TEMPLATE_FAILED"),
        (
            {"prompt": "x " * 99, "truncate": False, "options": Options(num_ctx=32)},
            "INVALID_ARGUMENT",
            "PROMPT_TOO_LONG",
        ),
        ({"prompt_tokens": {"ids": [10**8]}}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ({"prompt_tokens": {"ids": [-1]}}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
)
def test_failures_are_statuses_with_a_reason(
    daemon: Daemon, fields: dict[str, object], code: str, reason: str
) -> None:
    if "prompt_tokens" not in fields:
        fields = {"prompt": "hi"} | fields
    with daemon.generation() as stub, pytest.raises(grpc.RpcError) as error:
        list(stub.Generate(Request(**({"model": "tiny"} | fields))))
    assert error.value.code().name == code, error.value  # type: ignore[attr-defined]
    assert error_info(error.value).reason == reason
    assert generate(daemon, prompt="hi", options=Options(num_predict=1))


def test_a_message_that_protobuf_does_not_read_is_told(daemon: Daemon) -> None:
    # The field `chat.messages.tool_calls.arguments.fields`, and Structs within each other in it.
    data = b""
    for _ in range(200):
        data = field(1, field(1, b"a") + field(2, field(5, data)))
    for number in (4, 5, 2):
        data = field(number, data)
    with daemon.channel() as channel, pytest.raises(grpc.RpcError) as error:
        list(channel.unary_stream("/llamawire.v1.GenerationService/Chat")(data))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert error_info(error.value).reason == "INVALID_MESSAGE"


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length, written by hand: its library goes less deep."""
    length, size = len(content), b""
    while length > 127:
        length, size = length >> 7, size + bytes((length & 127 | 128,))
    return bytes((number << 3 | 2,)) + size + bytes((length,)) + content


def test_models_are_listed_loaded_and_unloaded(daemon: Daemon) -> None:
    with daemon.models() as stub:
        names = [m.name for m in stub.ListModels(model_service_pb2.ListModelsRequest()).models]
        assert "tiny:latest" in names
        stub.Load(model_service_pb2.LoadRequest(model="tiny"))
        loaded = stub.ListLoaded(model_service_pb2.ListLoadedRequest()).models
        (tiny,) = [model for model in loaded if model.name == "tiny:latest"]
        assert tiny.size_bytes > 1_000_000
        assert tiny.num_thread > 0
        assert tiny.num_thread_prefill > 0
        assert stub.Unload(model_service_pb2.UnloadRequest(model="tiny")).was_loaded
        loaded = stub.ListLoaded(model_service_pb2.ListLoadedRequest()).models
        assert "tiny:latest" not in [model.name for model in loaded]
        assert not stub.Unload(model_service_pb2.UnloadRequest(model="tiny")).was_loaded


def test_health_reflection_and_version_are_there(daemon: Daemon) -> None:
    with daemon.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "tiny", "tiny:latest"):
            reply = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            health.Check(health_pb2.HealthCheckRequest(service="nope"))
        assert error.value.code() == grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
        watch = health.Watch(health_pb2.HealthCheckRequest(service="nope"))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert "llamawire.v1.GenerationService" in services
        server = server_service_pb2_grpc.ServerServiceStub(channel)
        assert server.GetVersion(server_service_pb2.GetVersionRequest()).version
