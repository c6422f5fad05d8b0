"""/v1/messages: the bytes, and what the engine is asked."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from llamawire.rest import RestSettings
from llamawire.v1 import chat_pb2, generation_pb2, model_pb2
from rest.conftest import Reply, Rest, Start
from rest.event_stream import named_events
from rest.fake_engine import (
    MODEL,
    Failed,
    chat_finished,
    chat_pieces,
    chat_started,
    tool_call,
)

PATH = "/v1/messages"
HI = [{"role": "user", "content": "hi"}]
BODY: dict[str, Any] = {"model": "tiny", "max_tokens": 9, "messages": HI}
INVALID = grpc.StatusCode.INVALID_ARGUMENT
THINKS = model_pb2.Model()
THINKS.CopyFrom(MODEL)
THINKS.capabilities.append(model_pb2.CAPABILITY_THINKING)


async def message(rest: Rest, **body: Any) -> Reply:
    return await rest.request("POST", PATH, {**BODY, **body})


async def asked(rest: Rest, **body: Any) -> dict[str, Any]:
    """The question as the engine gets it."""
    reply = await message(rest, **body)
    assert reply.status == 200, reply.body
    request: Any = rest.engine.last(chat_pb2.ChatRequest)
    return MessageToDict(request, preserving_proto_field_name=True)


def failure(reply: Reply) -> tuple[int, str, str]:
    assert list(reply.json) == ["type", "error", "request_id"]
    assert reply.json["type"] == "error"
    assert re.fullmatch("req_[0-9a-f]{24}", reply.json["request_id"])
    assert list(reply.json["error"]) == ["type", "message"]
    return reply.status, reply.json["error"]["type"], reply.json["error"]["message"]


# ---- answers -------------------------------------------------------------------------------------


async def test_a_message_in_one_object(rest: Rest) -> None:
    reply = await message(rest)
    assert (reply.status, reply.type) == (200, "application/json")
    id_ = reply.json["id"]
    assert re.fullmatch("msg_[0-9a-f]{24}", id_)
    assert reply.body.decode() == (
        f'{{"id":"{id_}","type":"message","role":"assistant","model":"tiny",'
        '"content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn",'
        '"usage":{"input_tokens":18,"output_tokens":3}}\n'
    )


async def test_a_message_in_events(rest: Rest) -> None:
    reply = await message(rest, stream=True, system="be brief, be kind")
    id_ = named_events(reply)[0]["message"]["id"]
    expected = (
        ("message_start", f'"message":{{"id":"{id_}","type":"message","role":"assistant",'
         '"model":"tiny","content":[],"usage":{"input_tokens":4,"output_tokens":0}}'),
        ("content_block_start", '"index":0,"content_block":{"type":"text","text":""}'),
        ("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":"Hel"}'),
        ("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":"lo"}'),
        ("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":"!"}'),
        ("content_block_stop", '"index":0'),
        ("message_delta", '"delta":{"stop_reason":"end_turn"},'
         '"usage":{"input_tokens":18,"output_tokens":3}'),
    )  # fmt: skip
    assert reply.body.decode() == (
        "".join(
            f'event: {type_}\ndata: {{"type":"{type_}",{rest_}}}\n\n' for type_, rest_ in expected
        )
        + 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


async def test_thinking_text_and_calls_are_blocks(rest: Rest) -> None:
    both = chat_pb2.ChatPiece(thinking="b", content="c")
    call = chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"b": "<", "a": 1})])
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(thinking="a"), both, "d", chat_pb2.ChatPiece(), call),
        chat_finished(),
    ]
    whole = (await message(rest)).json
    written = {"type": "tool_use", "id": "call_r0zjq7px", "name": "f"}
    assert whole["content"] == [
        {"type": "thinking", "thinking": "ab"},
        {"type": "text", "text": "cd"},
        {**written, "input": {"a": 1, "b": "<"}},
    ]
    assert whole["stop_reason"] == "tool_use"
    _, *events, delta, _ = named_events(await message(rest, stream=True))
    assert [event["index"] for event in events] == [0] * 4 + [1] * 4 + [2] * 3
    shown = [event.get("content_block") or event.get("delta") for event in events]
    assert shown == [
        {"type": "thinking", "thinking": ""},
        {"type": "thinking_delta", "thinking": "a"},
        {"type": "thinking_delta", "thinking": "b"},
        None,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "c"},
        {"type": "text_delta", "text": "d"},
        None,
        {**written, "input": {}},
        {"type": "input_json_delta", "partial_json": '{"a":1,"b":"\\u003c"}'},
        None,
    ]
    assert delta["delta"] == {"stop_reason": "tool_use"}


async def test_what_ends_an_answer(rest: Rest) -> None:
    call = chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {})]))
    rest.engine.chat_answer = [call, chat_finished(reason=generation_pb2.FINISH_REASON_LENGTH)]
    assert (await message(rest)).json["stop_reason"] == "max_tokens"
    rest.engine.chat_answer = [chat_finished()]
    empty = (await message(rest)).json
    assert (empty["content"], empty["stop_reason"]) == ([], "end_turn")
    start, delta, stop = named_events(await message(rest, stream=True))
    assert start["message"]["usage"]["input_tokens"] == 1
    assert (delta["delta"], stop) == ({"stop_reason": "end_turn"}, {"type": "message_stop"})


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_cut_is_told(rest: Rest, stream: bool) -> None:
    rest.engine.chat_answer = [
        chat_started(messages_dropped_count=3),
        chat_finished(prompt_dropped_count=9),
    ]
    reply = await message(rest, stream=stream)
    last = named_events(reply)[-2] if stream else reply.json
    assert (last["prompt_dropped_count"], last["messages_dropped_count"]) == (9, 3)


async def test_messages_without_anything_load_the_model(rest: Rest) -> None:
    nothing = [{"role": "user", "content": [{"type": "unheard_of"}]}]
    reply = await message(rest, messages=nothing)
    assert (reply.json["content"], reply.json["stop_reason"]) == ([], "end_turn")
    assert rest.engine.names() == ["GetModel", "Load"]
    streamed = named_events(await message(rest, messages=nothing, stream=True))
    assert [event["type"] for event in streamed] == [
        "message_start", "message_delta", "message_stop",
    ]  # fmt: skip


async def test_the_prompt_is_shown(rest: Rest) -> None:
    reply = await message(rest, _debug_render_only=True)
    assert reply.json["_debug_info"] == {"rendered_template": "<rendered>"}


# ---- requests ------------------------------------------------------------------------------------


async def test_only_what_is_given_reaches_the_engine(rest: Rest) -> None:
    assert await asked(rest) == {"model": "tiny", "messages": HI, "options": {"num_predict": 9}}


async def test_every_field_reaches_the_engine(rest: Rest) -> None:
    schema = '{"type": "object", "properties": {"b": {}, "a": {}}}'
    body = {"type": "object", "properties": {"b": {}, "a": {}}}
    request = await asked(
        rest,
        system=[{"type": "text", "text": "be ", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "kind"}],
        temperature=0, top_p=0.5, top_k=3, stop_sequences=["a", "b"],
        tools=[{"name": "f", "description": "d", "input_schema": body},
               {"type": "bash_20250124", "name": "bash"}],
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        tool_choice={"type": "auto"}, metadata={"user_id": "u"}, service_tier="auto",
    )  # fmt: skip
    assert request["messages"] == [{"role": "system", "content": "be kind"}, *HI]
    assert request["options"] == {
        "num_predict": 9, "temperature": 0.0, "top_p": 0.5, "top_k": 3,
        "stop": {"values": ["a", "b"]},
    }  # fmt: skip
    assert request["tools"] == [
        {"name": "f", "description": "d", "parameters_json_schema": schema},
        {"name": "bash"},
    ]
    assert request["format"] == {"json_schema": '{"type": "object"}'}


@pytest.mark.parametrize(
    ("body", "think"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"enabled": True, "budget_tokens": 2000}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {}),
        ({"thinking": {"type": "enabled"}, "output_config": {"effort": "low"}}, {"enabled": True}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
         {"enabled": True, "level": "low"}),
        ({"output_config": {"effort": "xhigh"}}, {"enabled": True, "level": "high"}),
        ({"output_config": {"effort": "max"}}, {"enabled": True, "level": "max"}),
        ({}, None),
    ],
)  # fmt: skip
async def test_thinking(rest: Rest, body: dict[str, Any], think: dict[str, Any] | None) -> None:
    rest.engine.model = THINKS
    assert (await asked(rest, **body)).get("think") == think


async def test_a_model_that_cannot_think_is_not_asked_to(rest: Rest) -> None:
    for body in ({"thinking": {"type": "enabled"}}, {"output_config": {"effort": "low"}}):
        assert "think" not in await asked(rest, **body)


async def test_a_whole_conversation(rest: Rest) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                         "data": "YQ=="}}  # fmt: skip
    messages = [
        {"role": "user", "content": [
            {"type": "text", "text": "look "}, image, {"type": "text", "text": "here"},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "calling"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "text", "text": "and?"},
            {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "c2", "is_error": False, "content": [
                {"type": "text", "text": "tw"}, {"type": "text", "text": "o"}, image]},
        ]},
        {"role": "assistant", "content": [
            {"type": "tool_result", "tool_use_id": "c3"}, {"type": "text", "text": "so"},
        ]},
    ]  # fmt: skip
    assert (await asked(rest, messages=messages))["messages"] == [
        {"role": "user", "content": "look here", "images": ["YQ=="]},
        {"role": "assistant", "content": "calling", "thinking": "hm", "tool_calls": [
            {"id": "c1", "name": "f", "arguments": {"a": 1.0}},
            {"id": "c2", "index": 1, "name": "g", "arguments": {}},
        ]},
        {"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "two", "images": ["YQ=="], "tool_name": "g",
         "tool_call_id": "c2"},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "so"},
        {"role": "tool", "tool_call_id": "c3"},
    ]  # fmt: skip


# ---- refusals ------------------------------------------------------------------------------------


def blocks(**block: Any) -> dict[str, Any]:
    return {**BODY, "messages": [{"role": "user", "content": [block]}]}


def image(source: Any) -> dict[str, Any]:
    return blocks(type="image", source=source)


def tool(**fields: Any) -> dict[str, Any]:
    return {**BODY, "tools": [{"name": "x", **fields}]}


def field(path: str, go_type: str, kind: str, struct: str = "MessagesRequest") -> str:
    return f"json: cannot unmarshal {kind} into Go struct field {struct}.{path} of type {go_type}"


REFUSED: list[tuple[Any, str]] = [
    (b"", "EOF"),
    (b"{", "unexpected EOF"),
    (b"[]", "json: cannot unmarshal array into Go value of type anthropic.MessagesRequest"),
    ({}, "model is required"),
    ({"model": "tiny", "messages": HI}, "max_tokens is required and must be positive"),
    ({**BODY, "max_tokens": 0}, "max_tokens is required and must be positive"),
    ({**BODY, "max_tokens": -1, "messages": []}, "max_tokens is required and must be positive"),
    ({**BODY, "messages": []}, "messages is required"),
    ({**BODY, "max_tokens": "x"}, field("max_tokens", "int", "string")),
    ({**BODY, "stop_sequences": "x"}, field("stop_sequences", "[]string", "string")),
    ({**BODY, "messages": [1]}, field("messages", "anthropic.MessageParam", "number")),
    ({**BODY, "messages": [{"role": "user"}]}, "messages[0]: invalid content type: <nil>"),
    ({**BODY, "messages": [{"role": "user", "content": 1}]},
     "messages[0]: invalid content type: float64"),
    ({**BODY, "messages": [{"role": "user", "content": ["x"]}]},
     "json: cannot unmarshal string into Go struct field MessagesRequest.messages of type "
     "anthropic.ContentBlock"),
    ({**BODY, "system": True}, "invalid type of system: bool"),
    (blocks(type="text", text=1), field("messages.text", "string", "number", "ContentBlock")),
    (image({"type": "url", "url": "http://x"}),
     "invalid image source type: url. Only base64 images are supported."),
    (image("x"), "invalid image source"),
    (image({"type": "base64"}), "invalid image source"),
    (image({"type": "base64", "data": "!"}),
     "invalid base64 image data: illegal base64 data at input byte 0"),
    (blocks(type="tool_use", name="f"), "tool_use block missing required 'id' field"),
    (blocks(type="tool_use", id="c"), "tool_use block missing required 'name' field"),
    (blocks(type="tool_use", id="c", name="f", input=[]),
     "tool_use block: 'input' is no object: []interface {}"),
    (tool(input_schema="y"),
     'invalid input_schema for tool "x": json: cannot unmarshal string into Go value of type '
     "api.ToolFunctionParameters"),
    (tool(input_schema={"properties": {"a": {"type": 1}}}),
     'invalid input_schema for tool "x": json: cannot unmarshal number into Go struct field '
     "ToolFunctionParameters.properties.type of type []string"),
    (tool(type="web_search_20250305"),
     'tools of the type "web_search_20250305" are not supported'),
    ({**BODY, "thinking": {"type": "enabled", "budget_tokens": -1}},
     "thinking.budget_tokens must be 0 to 2147483647"),
    ({**BODY, "output_config": {"effort": "x"}},
     'invalid output_config.effort: "x" (must be "low", "medium", "high", "xhigh", or "max")'),
]  # fmt: skip


async def test_bodies_that_the_translation_refuses(rest: Rest) -> None:
    for body, text in REFUSED:
        reply = await rest.request("POST", PATH, body)
        assert failure(reply) == (400, "invalid_request_error", text)
        assert reply.type == "application/json; charset=utf-8"
        assert not reply.body.endswith(b"\n")
    assert not rest.engine.requests


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_engine_refuses(rest: Rest, stream: bool) -> None:
    codes = grpc.StatusCode
    for failed, expected in (
        (Failed("MODEL_NOT_FOUND", code=codes.NOT_FOUND),
         (404, "not_found_error", "model 'tiny' not found")),
        (Failed("UNSUPPORTED_CAPABILITY", code=INVALID, capability="tools", full_name="full"),
         (400, "invalid_request_error", "full does not support tools")),
        (Failed("KEY_MISSING", "no", code=codes.UNAUTHENTICATED),
         (401, "authentication_error", "no")),
        (Failed("SCOPE_MISSING", "no", code=codes.PERMISSION_DENIED),
         (403, "permission_error", "no")),
        (Failed("QUOTA_EXCEEDED", "no", code=codes.RESOURCE_EXHAUSTED),
         (429, "rate_limit_error", "no")),
        (Failed("SHUTTING_DOWN", "no", code=codes.UNAVAILABLE), (503, "overloaded_error", "no")),
        (Failed("INTERNAL", "oops"), (500, "api_error", "oops")),
    ):  # fmt: skip
        rest.engine.chat_answer = [failed]
        reply = await message(rest, stream=stream)
        assert failure(reply) == expected
        assert reply.type == "application/json"
        assert ("Retry-After" in reply.headers) == (reply.status in (429, 503))
        assert reply.headers["Cache-Control"] == "no-cache"


async def test_checks_of_the_adapter_have_the_same_shape(start: Start) -> None:
    rest = await start(settings=RestSettings(body_bytes_max=200))
    assert failure(await message(rest, model="x:cloud"))[:2] == (403, "permission_error")
    assert failure(await message(rest, system="x" * 200))[:2] == (413, "api_error")
    rest.engine.failures["GetModel"] = Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND)
    reply = await message(rest, thinking={"type": "enabled"})
    assert failure(reply) == (404, "not_found_error", "model 'tiny' not found")
    assert (await rest.request("GET", PATH)).body == b"405 method not allowed"
    counting = await rest.request("POST", f"{PATH}/count_tokens", BODY)
    assert (counting.status, counting.body) == (404, b"404 page not found")


async def test_an_error_on_the_way_is_an_event(rest: Rest) -> None:
    rest.engine.chat_answer = [chat_pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    *_, shown, last = named_events(await message(rest, stream=True))
    assert shown["delta"]["text"] == "a"
    text = "an error was encountered while running the model: signal 6"
    assert last["error"] == {"type": "api_error", "message": text}


# ---- keys ----------------------------------------------------------------------------------------


async def test_a_key_comes_in_either_header(rest: Rest) -> None:
    seen = rest.engine.authorizations
    for headers, expected in (
        ({"x_api_key": "lw_1"}, "Bearer lw_1"),
        ({"Authorization": "Bearer lw_2"}, "Bearer lw_2"),
        ({"Authorization": "Bearer lw_2", "x_api_key": "lw_1"}, "Bearer lw_2"),
        ({"x_api_key": ""}, ""),
        ({"x_api_key": "x" * 5000}, ""),
    ):
        seen.clear()
        assert (await rest.request("POST", PATH, BODY, **headers)).status == 200
        assert seen == [expected]
    # It is Anthropic's header, and no other route's.
    seen.clear()
    await rest.request("POST", "/v1/chat/completions", BODY, x_api_key="lw_1")
    assert seen == [""]
