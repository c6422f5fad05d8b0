"""POST /api/chat: what a client sees, and what the engine is asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from llamawire.v1 import chat_pb2, generation_pb2, generation_service_pb2, model_pb2
from rest.conftest import Rest, Start
from rest.fake_engine import (
    Failed,
    chat_finished,
    chat_pieces,
    chat_started,
    tool_call,
)

NOW_NS = 1_795_375_047_078_536_180
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "the weather",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "unit": {"type": ["string", "null"], "enum": ["C", 1]},
                "city": {"type": "string", "description": "where", "format": "x"},
            },
            "additionalProperties": False,
        },
    },
}


def asked(rest: Rest) -> chat_pb2.ChatRequest:
    request = rest.engine.last(chat_pb2.ChatRequest)
    assert isinstance(request, chat_pb2.ChatRequest)
    return request


# ---- answers -------------------------------------------------------------------------------------


async def test_a_stream_has_a_line_for_each_piece(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await rest.chat("hi")
    assert (reply.status, reply.type) == (200, "application/x-ndjson")
    head = (
        b'{"model":"tiny","created_at":"2026-11-22T19:17:27.07853618Z",'
        b'"message":{"role":"assistant","content":'
    )
    assert reply.body == b"".join(
        (
            head + b'"Hel"},"done":false}\n',
            head + b'"lo"},"done":false}\n',
            head + b'"!"},"done":false}\n',
            head + b'""},"done":true,"done_reason":"stop","total_duration":15790734,'
            b'"load_duration":1569612,"prompt_eval_count":18,"prompt_eval_duration":11838000,'
            b'"eval_count":3,"eval_duration":629000}\n',
        )
    )


async def test_without_streaming_the_answer_is_the_concatenation(rest: Rest) -> None:
    rest.engine.chat_answer = [
        chat_started(),
        chat_pieces(chat_pb2.ChatPiece(thinking="Let me "), chat_pb2.ChatPiece(thinking="see.")),
        chat_pieces("Sure", " "),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"x": 1})])),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("g", {}, 1)])),
        chat_finished(prompt_count=2, generated_count=4),
    ]
    reply = await rest.chat("hi", stream=False)
    assert reply.type == "application/json; charset=utf-8"
    assert not reply.body.endswith(b"\n")
    assert list(reply.json) == [
        "model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count",
    ]  # fmt: skip
    message = reply.json["message"]
    assert list(message) == ["role", "content", "thinking", "tool_calls"]
    assert message["content"] == "Sure "
    assert message["thinking"] == "Let me see."
    assert [call["function"] for call in message["tool_calls"]] == [
        {"index": 0, "name": "f", "arguments": {"x": 1}},
        {"index": 1, "name": "g", "arguments": {}},
    ]


async def test_thinking_and_calls_have_lines_of_their_own(rest: Rest) -> None:
    arguments = {"unit": "<C>", "city": "Paris", "n": [1, 2.5, 1e21, None, True, {"b": 1, "a": 2}]}
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(thinking="hm & so")),
        chat_pieces("Sure "),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("get_weather", arguments)])),
        chat_pieces(chat_pb2.ChatPiece(token_ids=[7])),
        chat_finished(),
    ]
    reply = await rest.chat("hi", tools=[WEATHER])
    thought, text, called, last = (
        line.partition(b',"message":')[2] for line in reply.body.splitlines()
    )
    assert thought == (
        rb'{"role":"assistant","content":"","thinking":"hm \u0026 so"},"done":false}'
    )
    assert text == b'{"role":"assistant","content":"Sure "},"done":false}'
    assert called == (
        b'{"role":"assistant","content":"","tool_calls":[{"id":"call_r0zjq7px","function":'
        b'{"index":0,"name":"get_weather","arguments":{"city":"Paris",'
        rb'"n":[1,2.5,1e+21,null,true,{"a":2,"b":1}],"unit":"\u003cC\u003e"}}}]},"done":false}'
    )
    assert last == b'{"role":"assistant","content":""},"done":true,"done_reason":"stop"}'


async def test_logprobs_come_before_the_durations(rest: Rest) -> None:
    top = [generation_pb2.TopLogprob(token=b"a", logprob=-0.5),
           generation_pb2.TopLogprob(token=b"\xff", logprob=float("-inf"))]  # fmt: skip
    entry = generation_pb2.TokenLogprob(token="é".encode(), logprob=-0.1, top=top)
    bare = generation_pb2.TokenLogprob(token=b"b", logprob=0)
    piece = chat_pb2.ChatPiece(content="é", logprobs=[entry])
    held = chat_pb2.ChatPiece(logprobs=[bare])
    rest.engine.chat_answer = [chat_pieces(piece, held), chat_finished(total_ns=5)]
    streamed = await rest.chat("hi", logprobs=True, top_logprobs=2)
    assert asked(rest).logprobs.top == 2
    first = (
        b'[{"token":"\xc3\xa9","logprob":-0.1,"bytes":[195,169],"top_logprobs":['
        b'{"token":"a","logprob":-0.5,"bytes":[97]},'
        b'{"token":"\xef\xbf\xbd","logprob":-3.4028235e+38,"bytes":[255]}]}'
    )
    second = b'{"token":"b","logprob":0,"bytes":[98]}]'
    lines = streamed.body.splitlines()
    assert lines[0].endswith(b',"done":false,"logprobs":' + first + b"]}")
    assert lines[1].endswith(b'"content":""},"done":false,"logprobs":[' + second + b"}")
    assert b"logprobs" not in lines[2]
    whole = await rest.chat("hi", logprobs=True, stream=False)
    assert b'"stop","logprobs":' + first + b"," + second + b',"total_duration":5}' in whole.body


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_cut_is_told(rest: Rest, stream: bool) -> None:
    rest.engine.chat_answer = [
        chat_started(messages_dropped_count=3),
        chat_finished(prompt_dropped_count=9),
    ]
    reply = await rest.chat("hi", stream=stream)
    last = json.loads(reply.body.splitlines()[-1])
    assert (last["prompt_dropped_count"], last["messages_dropped_count"]) == (9, 3)


# ---- what is asked -------------------------------------------------------------------------------


async def test_every_field_reaches_the_engine(rest: Rest) -> None:
    body = {
        "model": " tiny:local", "tools": [WEATHER], "format": {"type": "object"},
        "options": {"top_k": 3, "stop": ["x"]}, "keep_alive": "90s", "truncate": False,
        "shift": False, "think": "high", "logprobs": True, "top_logprobs": 4, "timeout": 1.5,
        "prompt": 5, "system": [], "tool_choice": {"x": 1},
    }  # fmt: skip
    messages = [
        {"role": "SYSTEM", "content": "s"},
        {"role": "user", "content": "u", "images": ["YQ==", "Yg=="]},
        {"role": "assistant", "content": None, "thinking": "t",
         "tool_calls": [{"id": "call_1", "function":
                         {"index": 2, "name": "f", "arguments": {"a": [1, "b"]}}}]},
        {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "call_1"},
    ]  # fmt: skip
    await rest.chat(*messages, **body)
    request = MessageToDict(asked(rest), preserving_proto_field_name=True)
    schema = request["tools"][0].pop("parameters_json_schema")
    assert json.loads(schema) == WEATHER["function"]["parameters"]  # type: ignore[index]
    # Its order has meaning.
    assert schema.index('"unit":') < schema.index('"city":')
    assert request == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u", "images": ["YQ==", "Yg=="]},
            {"role": "assistant", "thinking": "t",
             "tool_calls": [{"id": "call_1", "index": 2, "name": "f",
                             "arguments": {"a": [1.0, "b"]}}]},
            {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "call_1"},
        ],
        "tools": [{"name": "get_weather", "description": "the weather"}],
        "format": {"json_schema": '{"type": "object"}'},
        "options": {"top_k": 3, "stop": {"values": ["x"]}},
        "keep_alive": "90s", "truncate": False, "shift": False,
        "think": {"enabled": True, "level": "high"}, "logprobs": {"top": 4}, "timeout": "1.500s",
    }  # fmt: skip


async def test_null_is_as_good_as_absent(rest: Rest) -> None:
    body = dict.fromkeys(("tools", "stream", "format", "think", "options", "logprobs"))
    reply = await rest.chat(None, {"role": None, "tool_calls": None, "images": None}, **body)
    assert len(reply.lines) == 4
    assert asked(rest).messages == [chat_pb2.ChatMessage()] * 2
    assert {field.name for field, _ in asked(rest).ListFields()} == {
        "model", "messages", "options",
    }  # fmt: skip
    await rest.chat("hi", tools=[])
    assert not asked(rest).tools


def at(path: str, go_type: str, kind: str = "number", struct: str = "ChatRequest") -> str:
    return f"json: cannot unmarshal {kind} into Go struct field {struct}.{path} of type {go_type}"


NO_OBJECT = "Value looks like object, but can't find closing '}' symbol"
PROPERTIES = "tools.function.parameters.properties"


def called(function: Any) -> dict[str, Any]:
    return {"messages": [{"tool_calls": [{"function": function}]}]}


def tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"function": function}]}


def parameters(**schema: Any) -> dict[str, Any]:
    return tool(parameters=schema)


def prop(schema: Any) -> dict[str, Any]:
    return parameters(properties={"p": schema})


BODY_ERRORS: list[tuple[Any, str]] = [
    (b"", "missing request body"),
    (b"[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
    ({"messages": "x"}, at("messages", "[]api.Message", "string")),
    ({"messages": ["x"]}, at("messages", "api.Alias", "string")),
    ({"messages": [{"role": 1}]}, at("messages.role", "string")),
    ({"messages": [{"content": [{"type": "text"}]}]}, at("messages.content", "string", "array")),
    ({"messages": [{"images": 1}]}, at("messages.images", "[]api.ImageData")),
    ({"messages": [{"images": ["YQ"]}]}, "illegal base64 data at input byte 0"),
    ({"messages": [{"images": ["data:image/png;base64,YQ=="]}]},
     "illegal base64 data at input byte 4"),
    ({"messages": [{"tool_calls": {}}]}, at("messages.tool_calls", "[]api.ToolCall", "object")),
    ({"messages": [{"tool_calls": [1]}]}, at("messages.tool_calls", "api.ToolCall")),
    (called(1), at("messages.tool_calls.function", "api.ToolCallFunction")),
    (called({"name": 1}), at("messages.tool_calls.function.name", "string")),
    (called({"index": 1.5}), at("messages.tool_calls.function.index", "int", "number 1.5")),
    (called({"arguments": "{}"}), NO_OBJECT),
    (called({"arguments": [1]}), NO_OBJECT),
    ({"tools": {}}, at("tools", "api.Tools", "object")),
    ({"tools": [1]}, at("tools", "api.Tool")),
    ({"tools": [{"type": 1}]}, at("tools.type", "string", struct="Tool")),
    ({"tools": [{"function": 1}]}, at("tools.function", "api.ToolFunction", struct="Tool")),
    (tool(name=1), at("tools.function.name", "string", struct="ToolFunction")),
    (tool(parameters=1),
     at("tools.function.parameters", "api.ToolFunctionParameters", struct="ToolFunction")),
    (parameters(required="x"),
     at("tools.function.parameters.required", "[]string", "string", "ToolFunctionParameters")),
    (parameters(properties="x"), NO_OBJECT),
    (parameters(properties=[]), NO_OBJECT),
    (prop("x"), at(PROPERTIES, "api.ToolProperty", "string", "ToolFunctionParameters")),
    (prop({"type": 1}), at(PROPERTIES + ".type", "[]string", struct="ToolFunctionParameters")),
    (prop({"type": [1]}), at(PROPERTIES + ".type", "string", struct="ToolFunctionParameters")),
    (prop({"anyOf": [{"description": 1}]}),
     at(PROPERTIES + ".anyOf.description", "string", struct="ToolFunctionParameters")),
    (prop({"properties": {"q": {"enum": 1}}}),
     at(PROPERTIES + ".properties.enum", "[]interface {}", struct="ToolFunctionParameters")),
    ({"think": "maybe"},
     'invalid think value: "maybe" (must be "high", "medium", "low", "max", true, or false)'),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), BODY_ERRORS)
async def test_bodies_that_go_would_not_read(rest: Rest, body: Any, text: str) -> None:
    reply = await rest.request("POST", "/api/chat", body)
    assert (reply.status, reply.error) == (400, text)
    assert not rest.engine.requests


async def test_which_of_several_mistakes_is_told(rest: Rest) -> None:
    # A mistake in a message ends Go's decoding, others wait for one like that.
    body = b'{"stream":1,"tools":[{"function":1},2],"messages":[{"role":1,"content":2}]}'
    reply = await rest.request("POST", "/api/chat", body)
    assert reply.error == at("messages.role", "string")
    reply = await rest.request("POST", "/api/chat", b'{"stream":1,"tools":[{"function":1},2]}')
    assert reply.error == at("stream", "bool")
    reply = await rest.request("POST", "/api/chat", {"stream": 1, **parameters(properties=1)})
    assert reply.error == NO_OBJECT


async def test_tools_may_be_nested_but_not_too_deeply(rest: Rest) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"type": "object", "properties": {"p": schema}}
    assert (await rest.chat("hi", tools=[{"function": {"parameters": schema}}])).status == 200
    deep = b'{"properties":{"p":' * 3000 + b"{}" + b"}}" * 3000
    body = b'{"messages":[{}],"tools":[{"function":{"parameters":' + deep + b"}}]}"
    reply = await rest.request("POST", "/api/chat", body)
    assert (reply.status, reply.error) == (400, "tools must be nested at most 128 levels deep")


async def test_arguments_may_be_nested_but_not_too_deeply(rest: Rest) -> None:
    def arguments(levels: int) -> bytes:
        value = b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)
        return b'{"messages":[{"tool_calls":[{"function":{"arguments":' + value + b"}}]}]}"

    assert (await rest.request("POST", "/api/chat", arguments(30))).status == 200
    for levels in (31, 200, 5000):
        reply = await rest.request("POST", "/api/chat", arguments(levels))
        assert reply.status == 400
        assert reply.error == "arguments must be nested at most 30 levels deep"


# ---- checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("messages", [["hi"], []])
async def test_a_model_is_required(rest: Rest, messages: list[str]) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    rest.engine.chat_answer = [Failed("MODEL_REQUIRED", code=invalid)]
    rest.engine.failures["GetModel"] = Failed("MODEL_REQUIRED", code=invalid)
    reply = await rest.chat(*messages, model="")
    assert (reply.status, reply.error) == (400, "model is required")


async def test_an_unknown_model(rest: Rest) -> None:
    missing = Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND, model="no:latest")
    rest.engine.chat_answer = [missing]
    rest.engine.failures["GetModel"] = missing
    for messages in (["hi"], []):
        reply = await rest.chat(*messages, model=" no ")
        assert (reply.status, reply.error) == (404, "model ' no ' not found")


@pytest.mark.parametrize(
    ("capability", "text"),
    [
        ("thinking", '"tiny" does not support thinking'),
        ("completion", '"tiny" does not support chat'),
        ("tools", "registry.ollama.ai/library/tiny:latest does not support tools"),
    ],
)
async def test_what_the_engine_says_a_model_cannot_do(
    rest: Rest, capability: str, text: str
) -> None:
    rest.engine.chat_answer = [
        Failed(
            "UNSUPPORTED_CAPABILITY", code=grpc.StatusCode.FAILED_PRECONDITION,
            capability=capability, full_name="registry.ollama.ai/library/tiny:latest",
        )
    ]  # fmt: skip
    reply = await rest.chat("hi")
    assert (reply.status, reply.error) == (400, text)
    assert reply.type == "application/json; charset=utf-8"


async def test_the_order_of_checks(rest: Rest) -> None:
    wrong: dict[str, Any] = {"think": True, "tools": [WEATHER], "options": {"top_k": "x"}}
    assert (await rest.chat("hi", top_logprobs=21, **wrong)).error == (
        "top_logprobs must be between 0 and 20"
    )
    assert not rest.engine.requests
    rest.engine.model = model_pb2.Model(full_name="full")
    for messages in (["hi"], []):
        reply = await rest.chat(*messages, **wrong)
        assert (reply.status, reply.error) == (
            400,
            '"tiny" does not support thinking\n"tiny" does not support chat\n'
            "full does not support tools",
        )
    rest.engine.model.capabilities[:] = [
        model_pb2.CAPABILITY_COMPLETION, model_pb2.CAPABILITY_THINKING, model_pb2.CAPABILITY_TOOLS,
    ]  # fmt: skip
    for messages in (["hi"], []):
        reply = await rest.chat(*messages, format="xml", **wrong)
        assert (reply.status, reply.error) == (500, 'option "top_k" must be of type integer')
    reply = await rest.chat("hi", format="xml")
    assert reply.status == 500
    assert reply.error.startswith('invalid format: "\\"xml\\""')


@pytest.mark.parametrize("field", ["format", "images", "logprobs"])
async def test_what_is_not_built_yet_is_named(rest: Rest, field: str) -> None:
    rest.engine.chat_answer = [
        Failed("NOT_IMPLEMENTED", code=grpc.StatusCode.UNIMPLEMENTED, field=field)
    ]
    reply = await rest.chat("hi")
    assert (reply.status, reply.error) == (
        400,
        f"{field} is not supported by this version of llamawire",
    )


# ---- load, unload, debug -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("messages", [{}, {"messages": []}, {"messages": None}])
async def test_without_messages_the_model_is_loaded(
    rest: Rest, stream: bool, messages: dict[str, Any]
) -> None:
    reply = await rest.chat(stream=stream, **messages)
    assert reply.type == "application/json; charset=utf-8"
    stamp = reply.json["created_at"]
    assert reply.body.decode() == (
        f'{{"model":"tiny","created_at":"{stamp}","message":{{"role":"assistant","content":""}},'
        '"done":true,"done_reason":"load"}'
    )
    assert rest.engine.names() == ["GetModel", "Load"]


async def test_keep_alive_0_without_messages_unloads(rest: Rest) -> None:
    # Nothing else is looked at.
    reply = await rest.chat(
        keep_alive=0, options={"top_k": "x"}, think=True, tools=[WEATHER], format="xml"
    )
    assert reply.json["done_reason"] == "unload"
    assert reply.json["message"] == {"role": "assistant", "content": ""}
    assert rest.engine.names() == ["GetModel", "Unload"]


async def test_debug_render_only(rest: Rest) -> None:
    rest.engine.rendered = generation_service_pb2.RenderResponse(
        prompt="<p>", image_count=1, messages_dropped_count=2
    )
    reply = await rest.chat("hi", _debug_render_only=True)
    assert reply.type == "application/json; charset=utf-8"
    assert list(reply.json) == ["model", "created_at", "message", "done", "_debug_info"]
    assert reply.json["message"] == {"role": "", "content": ""}
    assert reply.json["done"] is False
    assert reply.json["_debug_info"] == {
        "rendered_template": "<p>", "image_count": 1, "messages_dropped_count": 2,
    }  # fmt: skip
    request = rest.engine.last(generation_service_pb2.RenderRequest)
    assert request.chat.messages[0].content == "hi"  # type: ignore[attr-defined]


# ---- failures ------------------------------------------------------------------------------------


async def test_errors_before_and_after_the_first_line(rest: Rest) -> None:
    crash = Failed("WORKER_CRASHED", "signal 6")
    rest.engine.chat_answer = [chat_started(), crash]
    reply = await rest.chat("hi")
    assert (reply.status, reply.type) == (500, "application/json")
    whole = await rest.chat("hi", stream=False)
    assert (whole.status, whole.type) == (500, "application/json; charset=utf-8")
    rest.engine.chat_answer = [chat_pieces("a"), crash]
    reply = await rest.chat("hi")
    assert reply.lines[0]["message"]["content"] == "a"
    error = "an error was encountered while running the model: signal 6"
    assert reply.lines[1:] == [{"error": error}]


@pytest.mark.parametrize("stream", [b"true", b"false"])
async def test_a_hang_up_cancels_the_call(rest: Rest, stream: bytes) -> None:
    rest.engine.chat_answer = [chat_pieces("a"), asyncio.Event()]
    body = b'{"model":"tiny","messages":[{}],"stream":' + stream + b"}"
    head = b"POST /api/chat HTTP/1.1\r\nHost: x.local\r\nContent-Length: %d\r\n\r\n" % len(body)
    _, writer = await rest.send_raw(head + body)
    await asyncio.wait_for(rest.engine.is_asked.wait(), 10)
    writer.transport.abort()
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)
    assert rest.engine.was_cancelled
