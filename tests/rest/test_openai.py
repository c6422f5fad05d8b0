"""/v1/chat/completions, /v1/completions, /v1/models: the bytes, and what the engine is asked."""

from __future__ import annotations

import json
import re
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from llamawire.rest import RestSettings
from llamawire.v1 import chat_pb2, generation_pb2, generation_service_pb2, model_pb2
from rest.conftest import Reply, Rest, Start
from rest.fake_engine import (
    MODEL,
    Failed,
    chat_finished,
    chat_pieces,
    chat_started,
    finished,
    pieces,
    started,
    tool_call,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOW_NS = 1_795_375_047_078_536_180
HI = [{"role": "user", "content": "hi"}]
USAGE = {"prompt_tokens": 18, "completion_tokens": 3, "total_tokens": 21}


async def chat(rest: Rest, **body: Any) -> Reply:
    body = {"model": "tiny", "messages": HI, **body}
    return await rest.request("POST", "/v1/chat/completions", body)


async def complete(rest: Rest, **body: Any) -> Reply:
    return await rest.request("POST", "/v1/completions", {"model": "tiny", **body})


def asked(rest: Rest) -> chat_pb2.ChatRequest:
    request = rest.engine.last(chat_pb2.ChatRequest)
    assert isinstance(request, chat_pb2.ChatRequest)
    return request


def generated(rest: Rest) -> generation_pb2.GenerateRequest:
    request = rest.engine.last(generation_pb2.GenerateRequest)
    assert isinstance(request, generation_pb2.GenerateRequest)
    return request


def events(reply: Reply) -> list[Any]:
    """The data of each event; the last one says that it is."""
    assert reply.type == "text/event-stream"
    assert reply.body.endswith(b"\n\n")
    found = reply.body.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") for event in found)
    return [event[6:] if event == "data: [DONE]" else json.loads(event[6:]) for event in found]


def deltas(reply: Reply) -> list[Any]:
    return [one["choices"][0]["delta"] for one in events(reply)[:-1] if one["choices"]]


def failure(reply: Reply) -> tuple[int, str, str]:
    assert list(reply.json["error"]) == ["message", "type", "param", "code"]
    error = reply.json["error"]
    assert error["param"] is error["code"] is None
    return reply.status, error["type"], error["message"]


# ---- chat: answers -------------------------------------------------------------------------------


async def test_a_chat_in_one_object(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await chat(rest)
    assert (reply.status, reply.type) == (200, "application/json")
    assert reply.body.endswith(b"}\n")
    id_ = reply.json["id"]
    assert re.fullmatch(r"chatcmpl-\d{1,3}", id_)
    assert reply.body.decode() == (
        f'{{"id":"{id_}","object":"chat.completion","created":1795375047,"model":"tiny",'
        '"system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant",'
        '"content":"Hello!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":18,'
        '"completion_tokens":3,"total_tokens":21}}\n'
    )


async def test_a_chat_in_events(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await chat(rest, stream=True, stream_options={"include_usage": True})
    id_ = events(reply)[0]["id"]
    head = (
        f'data: {{"id":"{id_}","object":"chat.completion.chunk","created":1795375047,'
        '"model":"tiny","system_fingerprint":"fp_ollama","choices":['
    )
    assert reply.body.decode() == "".join(
        (
            head + '{"index":0,"delta":{"role":"assistant","content":"Hel"},'
            '"finish_reason":null}]}\n\n',
            head + '{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}\n\n',
            head + '{"index":0,"delta":{"content":"!"},"finish_reason":null}]}\n\n',
            head + '{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
            head + '],"usage":{"prompt_tokens":18,"completion_tokens":3,"total_tokens":21}}\n\n',
            "data: [DONE]\n\n",
        )
    )


async def test_usage_comes_only_if_it_was_asked_for(rest: Rest) -> None:
    reply = await chat(rest, stream=True)
    assert b"usage" not in reply.body
    assert len(events(reply)) == 5
    assert events(reply)[-1] == "[DONE]"


async def test_reasoning_and_calls_have_chunks_of_their_own(rest: Rest) -> None:
    both = chat_pb2.ChatPiece(thinking="b", content="c")
    call = chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"b": "<", "a": 1})])
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(thinking="a"), both, call, chat_pb2.ChatPiece()),
        chat_finished(),
    ]
    written = {
        "id": "call_r0zjq7px", "index": 0, "type": "function",
        "function": {"name": "f", "arguments": '{"a":1,"b":"\\u003c"}'},
    }  # fmt: skip
    streamed = await chat(rest, stream=True)
    assert deltas(streamed) == [
        {"role": "assistant", "content": "", "reasoning": "a"},
        {"content": "", "reasoning": "b"},
        {"content": "c"},
        {"content": "", "tool_calls": [written]},
        {},
    ]
    assert events(streamed)[-2]["choices"][0]["finish_reason"] == "tool_calls"
    whole = await chat(rest)
    assert whole.json["choices"][0] == {
        "index": 0,
        "message": {
            "role": "assistant", "content": "c", "reasoning": "ab", "tool_calls": [written],
        },
        "finish_reason": "tool_calls",
    }  # fmt: skip


async def test_finish_reasons(rest: Rest) -> None:
    call = chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {})]))
    length = generation_pb2.FINISH_REASON_LENGTH
    rest.engine.chat_answer = [call, chat_finished(reason=length)]
    assert (await chat(rest)).json["choices"][0]["finish_reason"] == "length"
    assert events(await chat(rest, stream=True))[-2]["choices"][0]["finish_reason"] == "length"


async def test_an_answer_without_a_word_has_a_role(rest: Rest) -> None:
    rest.engine.chat_answer = [chat_finished()]
    assert deltas(await chat(rest, stream=True)) == [{"role": "assistant", "content": ""}]
    assert (await chat(rest)).json["choices"][0]["message"]["content"] == ""


async def test_logprobs(rest: Rest) -> None:
    entry = generation_pb2.TokenLogprob(token=b"a", logprob=-0.1)
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(content="a", logprobs=[entry])),
        chat_pieces(chat_pb2.ChatPiece(logprobs=[entry])),
        chat_finished(),
    ]
    shown = {"token": "a", "logprob": -0.1, "bytes": [97]}
    whole = await chat(rest, logprobs=True, top_logprobs=2)
    assert whole.json["choices"][0]["logprobs"] == {"content": [shown, shown]}
    assert asked(rest).logprobs.top == 2
    streamed = events(await chat(rest, logprobs=True, stream=True))
    assert [one["choices"][0]["logprobs"]["content"] for one in streamed[:2]] == [[shown]] * 2


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_cut_is_told(rest: Rest, stream: bool) -> None:
    rest.engine.chat_answer = [
        chat_started(messages_dropped_count=3),
        chat_finished(prompt_dropped_count=9),
    ]
    reply = await chat(rest, stream=stream)
    last = events(reply)[-2] if stream else reply.json
    assert (last["prompt_dropped_count"], last["messages_dropped_count"]) == (9, 3)


async def test_debug_render_only(rest: Rest) -> None:
    reply = await chat(rest, _debug_render_only=True)
    assert reply.json["_debug_info"] == {"rendered_template": "<rendered>"}
    assert list(reply.json)[-2:] == ["usage", "_debug_info"]
    request = rest.engine.last(generation_service_pb2.RenderRequest)
    assert request.chat.messages[0].content == "hi"  # type: ignore[attr-defined]


# ---- chat: requests ------------------------------------------------------------------------------


async def test_the_defaults_of_openai_win_over_the_models(rest: Rest) -> None:
    await chat(rest)
    request = MessageToDict(asked(rest), preserving_proto_field_name=True)
    assert request == {
        "model": "tiny",
        "messages": HI,
        "options": {"temperature": 1.0, "top_p": 1.0},
    }


async def test_every_field_reaches_the_engine(rest: Rest) -> None:
    parameters = {"type": "object", "properties": {"b": {}, "a": {}}}
    await chat(
        rest,
        temperature=0, top_p=0.5, seed=7, frequency_penalty=0.25, presence_penalty=-0.5,
        max_tokens=9, stop=["a", 1, "b"], reasoning_effort="ultra",
        tools=[{"type": "function", "function":
                {"name": "f", "parameters": parameters, "strict": True}}],
        tool_choice="auto", n=3, user="u", logit_bias={"1": 2}, parallel_tool_calls=False,
        response_format={"type": "json_schema",
                         "json_schema": {"name": "x", "schema": {"type": "object"}}},
    )  # fmt: skip
    request = MessageToDict(asked(rest), preserving_proto_field_name=True)
    assert request["options"] == {
        "temperature": 0.0, "top_p": 0.5, "seed": "7", "frequency_penalty": 0.25,
        "presence_penalty": -0.5, "num_predict": 9, "stop": {"values": ["a", "b"]},
    }  # fmt: skip
    assert request["think"] == {"enabled": True, "level": "max"}
    assert request["format"] == {"json_schema": '{"type": "object"}'}
    (tool,) = request["tools"]
    assert tool == {"name": "f", "parameters_json_schema": json.dumps(parameters)}


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"stop": "x"}, "stop", ["x"]),
        ({"max_completion_tokens": 5}, "num_predict", 5),
        ({"max_completion_tokens": 5, "max_tokens": 6}, "num_predict", 6),
        ({"max_tokens": 1 << 40}, "num_predict", (1 << 31) - 1),
    ],
)
async def test_options(rest: Rest, body: dict[str, Any], field: str, value: object) -> None:
    assert (await chat(rest, **body)).status == 200
    found = getattr(asked(rest).options, field)
    assert (list(found.values) if field == "stop" else found) == value


async def test_response_formats(rest: Rest) -> None:
    await chat(rest, response_format={"type": "json_object"})
    assert asked(rest).format.HasField("json")
    for none in ({"type": "text"}, {"type": "json_schema"}, {}):
        assert (await chat(rest, response_format=none)).status == 200
        assert not asked(rest).HasField("format")


@pytest.mark.parametrize(
    ("body", "enabled", "level"),
    [
        ({"reasoning_effort": "none"}, False, ""),
        ({"reasoning_effort": "minimal"}, True, "low"),
        ({"reasoning_effort": "medium"}, True, "medium"),
        ({"reasoning_effort": "xhigh"}, True, "max"),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "none"}, True, "high"),
    ],
)
async def test_efforts(rest: Rest, body: dict[str, Any], enabled: bool, level: str) -> None:
    await chat(rest, **body)
    assert asked(rest).think == generation_pb2.Think(enabled=enabled, level=level)


async def test_a_whole_conversation(rest: Rest) -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}},
            {"type": "image_url", "image_url": "data:;base64,Yg=="},
            {"type": "input_audio", "input_audio": {"data": "Yw==", "format": "wav"}},
        ]},
        {"role": "assistant", "content": None, "reasoning": "r", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": " {}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "one"}]},
        {"role": "tool", "tool_call_id": "c2", "name": "h", "content": "two"},
    ]  # fmt: skip
    await chat(rest, messages=messages)
    request = MessageToDict(asked(rest), preserving_proto_field_name=True)
    assert request["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "look"},
        {"role": "user", "images": ["YQ=="]},
        {"role": "user", "images": ["Yg=="]},
        {"role": "user", "images": ["Yw=="]},
        {"role": "assistant", "thinking": "r", "tool_calls": [
            {"id": "c1", "name": "f", "arguments": {"a": 1.0}},
            {"id": "c2", "index": 1, "name": "g", "arguments": {}},
        ]},
        {"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "two", "tool_name": "h", "tool_call_id": "c2"},
    ]  # fmt: skip


# ---- chat: refusals ------------------------------------------------------------------------------


def part(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [fields]}]}


def image(url: Any) -> dict[str, Any]:
    return part(type="image_url", image_url={"url": url})


def audio(value: Any) -> dict[str, Any]:
    return part(type="input_audio", input_audio=value)


def calling(**function: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "tool_calls": [{"function": function}]}]}


def field(path: str, go_type: str, kind: str, struct: str = "ChatCompletionRequest") -> str:
    return f"json: cannot unmarshal {kind} into Go struct field {struct}.{path} of type {go_type}"


NO_IMAGE_URLS = "image URLs are not currently supported, please use base64 encoded data instead"
REFUSED: list[tuple[Any, str]] = [
    (b"", "EOF"),
    (b" \n", "EOF"),
    (b"{", "unexpected EOF"),
    (b"[]", "json: cannot unmarshal array into Go value of type openai.ChatCompletionRequest"),
    ({}, "[] is too short - 'messages'"),
    ({"messages": []}, "[] is too short - 'messages'"),
    ({"max_tokens": "x"}, field("max_tokens", "int", "string")),
    ({"temperature": "x"}, field("temperature", "float64", "string")),
    ({"stream_options": {"include_usage": 1}},
     field("stream_options.include_usage", "bool", "number", "StreamOptions")),
    ({"messages": "x"}, field("messages", "[]openai.Message", "string")),
    ({"messages": [1]}, field("messages", "openai.Message", "number")),
    ({"messages": [{"role": 1}]}, field("messages.role", "string", "number", "Message")),
    (calling(name=1), field("messages.tool_calls.function.name", "string", "number", "")),
    ({"tools": {}}, field("tools", "[]api.Tool", "object")),
    ({"messages": [{"role": "user"}]}, "invalid message content type: <nil>"),
    ({"messages": [{"role": "user", "content": 1}]}, "invalid message content type: float64"),
    ({"messages": [{"content": True}]}, "invalid message content type: bool"),
    ({"messages": [{"content": {}}]}, "invalid message content type: map[string]interface {}"),
    ({"messages": [{"content": ["x"]}]}, "invalid message format"),
    (part(type="video"), "invalid message format"),
    (part(type="text", text=1), "invalid message format"),
    (part(type="image_url"), "invalid message format"),
    (image("https://example.com/a.png"), NO_IMAGE_URLS),
    (image("data:image/gif;base64,YQ=="), "invalid image input"),
    (image("data:image/png;base64,!"), "invalid image input"),
    (audio("x"), "invalid input_audio format"),
    (audio({}), "invalid input_audio format: missing data"),
    (audio({"data": "!"}),
     "invalid input_audio base64 data: illegal base64 data at input byte 0"),
    (calling(name="f", arguments="[]"), "invalid tool call arguments"),
    (calling(name="f", arguments='{"a":'), "invalid tool call arguments"),
    (calling(name="f"), "invalid tool call arguments"),
    ({"messages": HI, "reasoning_effort": "x"},
     'invalid reasoning value: "x" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", '
     '"max", or "none")'),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), REFUSED)
async def test_bodies_that_the_translation_refuses(rest: Rest, body: Any, text: str) -> None:
    reply = await rest.request("POST", "/v1/chat/completions", body)
    assert failure(reply) == (400, "invalid_request_error", text)
    assert reply.type == "application/json; charset=utf-8"
    assert not reply.body.endswith(b"\n")
    assert not rest.engine.requests


@pytest.mark.parametrize(
    ("failed", "status", "type_", "text"),
    [
        (Failed("MODEL_REQUIRED", code=INVALID), 400, "invalid_request_error",
         "model is required"),
        (Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND), 404, "not_found_error",
         "model 'tiny' not found"),
        (Failed("UNSUPPORTED_CAPABILITY", code=INVALID, capability="tools", full_name="full"),
         400, "invalid_request_error", "full does not support tools"),
        (Failed("QUEUE_FULL", code=grpc.StatusCode.RESOURCE_EXHAUSTED), 503, "api_error",
         "server busy, please try again.  maximum pending requests exceeded"),
        (Failed("INTERNAL", "oops"), 500, "api_error", "oops"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_engine_refuses(
    rest: Rest, stream: bool, failed: Failed, status: int, type_: str, text: str
) -> None:
    rest.engine.chat_answer = [failed]
    reply = await chat(rest, stream=stream)
    assert failure(reply) == (status, type_, text)
    assert reply.type == "application/json"
    assert reply.body.endswith(b"}\n")
    assert ("Retry-After" in reply.headers) == (status == 503)


async def test_checks_of_the_adapter_have_the_same_shape(start: Start) -> None:
    rest = await start(settings=RestSettings(body_bytes_max=200))
    text = "top_logprobs must be between 0 and 20"
    assert failure(await chat(rest, top_logprobs=21)) == (400, "invalid_request_error", text)
    assert failure(await chat(rest, model="x:cloud"))[:2] == (403, "api_error")
    assert failure(await chat(rest, user="x" * 200))[:2] == (413, "api_error")
    # Paths that are none keep the router's words.
    reply = await rest.request("GET", "/v1/chat/completions")
    assert (reply.status, reply.body) == (405, b"405 method not allowed")
    assert (await rest.request("GET", "/v1/nope")).body == b"404 page not found"


async def test_an_error_on_the_way_is_an_event(rest: Rest) -> None:
    rest.engine.chat_answer = [chat_pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    first, last = events(await chat(rest, stream=True))
    assert first["choices"][0]["delta"]["content"] == "a"
    message = "an error was encountered while running the model: signal 6"
    assert last == {"error": {"message": message, "type": "api_error", "param": None, "code": None}}


# ---- completions ---------------------------------------------------------------------------------


async def test_a_completion_in_one_object(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await complete(rest, prompt="p")
    id_ = reply.json["id"]
    assert re.fullmatch(r"cmpl-\d{1,3}", id_)
    assert reply.type == "application/json"
    assert reply.body.decode() == (
        f'{{"id":"{id_}","object":"text_completion","created":1795375047,"model":"tiny",'
        '"system_fingerprint":"fp_ollama","choices":[{"text":"Hello!","index":0,'
        '"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,'
        '"total_tokens":8}}\n'
    )


async def test_a_completion_in_events(rest: Rest) -> None:
    reply = await complete(rest, prompt="p", stream=True)
    *chunks, done = events(reply)
    assert done == "[DONE]"
    assert [list(chunk) for chunk in chunks] == [
        ["id", "object", "created", "choices", "model", "system_fingerprint"]
    ] * 4
    assert [chunk["choices"][0] for chunk in chunks] == [
        {"text": "Hel", "index": 0, "finish_reason": None},
        {"text": "lo", "index": 0, "finish_reason": None},
        {"text": "!", "index": 0, "finish_reason": None},
        {"text": "", "index": 0, "finish_reason": "stop"},
    ]
    reply = await complete(rest, prompt="p", stream=True, stream_options={"include_usage": True})
    *chunks, last, done = events(reply)
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert [chunk["usage"] for chunk in chunks] == [zero] * 4
    assert (last["choices"], last["usage"]["total_tokens"], done) == ([], 8, "[DONE]")


async def test_the_fields_of_a_completion(rest: Rest) -> None:
    await complete(rest, prompt="p", suffix="s", top_p=0, stop="x", echo=True, n=2, logprobs=3)
    request = MessageToDict(generated(rest), preserving_proto_field_name=True)
    assert request == {
        "model": "tiny", "prompt": "p", "suffix": "s", "return_context": True,
        "options": {"temperature": 1.0, "top_p": 1.0, "frequency_penalty": 0.0,
                    "presence_penalty": 0.0, "stop": {"values": ["x"]}},
        "logprobs": {"top": 3},
    }  # fmt: skip
    await complete(rest, prompt="p", logprobs=0, max_tokens=4, seed=1)
    assert not generated(rest).HasField("logprobs")
    assert (generated(rest).options.num_predict, generated(rest).options.seed) == (4, 1)


async def test_thinking_is_no_part_of_a_completion(rest: Rest) -> None:
    thought = generation_pb2.Pieces(pieces=[generation_pb2.Piece(thinking="t")])
    rest.engine.answer = [
        started(messages_dropped_count=1),
        generation_pb2.GenerateResponse(pieces=thought),
        pieces("a"),
        finished(),
    ]
    assert (await complete(rest, prompt="p")).json["choices"][0]["text"] == "a"
    first, last, _ = events(await complete(rest, prompt="p", stream=True))
    assert first["choices"][0]["text"] == "a"
    assert last["messages_dropped_count"] == 1


async def test_an_empty_prompt_loads(rest: Rest) -> None:
    reply = await complete(rest)
    assert reply.json["choices"] == [{"text": "", "index": 0, "finish_reason": "load"}]
    assert rest.engine.names() == ["GetModel", "Load"]
    chunk, done = events(await complete(rest, stream=True))
    assert (chunk["choices"][0]["finish_reason"], done) == ("load", "[DONE]")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"prompt": ["p"]}, field("prompt", "string", "array", "CompletionRequest")),
        ({"top_p": "x"}, field("top_p", "float32", "string", "CompletionRequest")),
        ({"prompt": "p", "stop": ["a", 1]}, "invalid type for 'stop' field: float64"),
        ({"prompt": "p", "logprobs": 21}, "top_logprobs must be between 0 and 20"),
    ],
)
async def test_completions_that_are_refused(rest: Rest, body: dict[str, Any], text: str) -> None:
    assert failure(await complete(rest, **body)) == (400, "invalid_request_error", text)


async def test_a_completion_without_a_model(rest: Rest) -> None:
    rest.engine.answer = [Failed("MODEL_REQUIRED", code=INVALID)]
    reply = await complete(rest, model="", prompt="p")
    assert failure(reply) == (404, "not_found_error", "model '' not found")
    rest.engine.answer = [pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    assert "error" in events(await complete(rest, prompt="p", stream=True))[-1]


async def test_debug_render_of_a_completion(rest: Rest) -> None:
    reply = await complete(rest, prompt="p", _debug_render_only=True)
    assert reply.json["_debug_info"] == {"rendered_template": "<rendered>"}


# ---- models --------------------------------------------------------------------------------------


async def test_models(rest: Rest) -> None:
    reply = await rest.request("GET", "/v1/models")
    assert (reply.type, reply.body) == ("application/json", b'{"object":"list","data":[]}\n')
    rest.engine.models = [MODEL, model_pb2.Model(full_name="h/me/x:y", name="me/x:y")]
    reply = await rest.request("GET", "/v1/models")
    first, second = reply.json["data"]
    assert first == {
        "id": "tiny:latest", "object": "model", "created": 1_700_000_000, "owned_by": "library",
    }  # fmt: skip
    assert list(first) == ["id", "object", "created", "owned_by"]
    assert (second["id"], second["owned_by"]) == ("me/x:y", "me")


async def test_one_model(rest: Rest) -> None:
    reply = await rest.request("GET", "/v1/models/TINY")
    assert reply.json == {
        "id": "TINY", "object": "model", "created": 1_700_000_000, "owned_by": "library",
    }  # fmt: skip
    missing = Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND, model="nope:latest")
    rest.engine.failures["GetModel"] = missing
    reply = await rest.request("GET", "/v1/models/nope")
    assert failure(reply) == (404, "not_found_error", "model 'nope:latest' not found")
    assert (await rest.request("GET", "/v1/models/a/b")).body == b"404 page not found"
