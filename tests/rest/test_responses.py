"""/v1/responses: the bytes, and what the engine is asked."""

from __future__ import annotations

import json
import re
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from llamawire.v1 import chat_pb2, generation_pb2
from rest.conftest import Reply, Rest, Start
from rest.event_stream import named_events
from rest.fake_engine import Failed, chat_finished, chat_pieces, chat_started, tool_call

PATH = "/v1/responses"
NOW_NS = 1_795_375_047_078_536_180


async def respond(rest: Rest, **body: Any) -> Reply:
    return await rest.request("POST", PATH, {"model": "tiny", "input": "hi", **body})


async def asked(rest: Rest, **body: Any) -> dict[str, Any]:
    """The question as the engine gets it."""
    reply = await respond(rest, **body)
    assert reply.status == 200, reply.body
    request: Any = rest.engine.last(chat_pb2.ChatRequest)
    return MessageToDict(request, preserving_proto_field_name=True)


def failure(reply: Reply) -> tuple[int, str, str]:
    error = reply.json["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return reply.status, error["type"], error["message"]


def thinks_speaks_and_calls() -> list[object]:
    both = chat_pb2.ChatPiece(thinking="b", content="c")
    calls = [tool_call("f", {"b": "<", "a": 1}), tool_call("g", {}, 1, "call_2")]
    return [
        chat_pieces(chat_pb2.ChatPiece(thinking="a"), both, "d", chat_pb2.ChatPiece()),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=calls)),
        chat_finished(),
    ]


# ---- answers -------------------------------------------------------------------------------------


async def test_a_response_in_one_object(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await respond(rest)
    assert (reply.status, reply.type) == (200, "application/json")
    id_ = reply.json["id"]
    (item,) = reply.json["output"]
    assert re.fullmatch(r"resp_\d+", id_)
    assert re.fullmatch(r"msg_\d+", item["id"])
    assert reply.body.decode() == (
        f'{{"id":"{id_}","object":"response","created_at":1795375047,"completed_at":1795375047,'
        '"status":"completed","incomplete_details":null,"model":"tiny",'
        '"previous_response_id":null,"instructions":null,'
        f'"output":[{{"id":"{item["id"]}","type":"message","status":"completed",'
        '"role":"assistant","content":[{"type":"output_text","text":"Hello!","annotations":[],'
        '"logprobs":[]}]}],"error":null,"tools":[],"tool_choice":"auto","truncation":"disabled",'
        '"parallel_tool_calls":true,"text":{"format":{"type":"text"}},"top_p":1,'
        '"presence_penalty":0,"frequency_penalty":0,"top_logprobs":0,"temperature":1,'
        '"reasoning":null,"usage":{"input_tokens":18,"output_tokens":3,"total_tokens":21,'
        '"input_tokens_details":{"cached_tokens":0},"output_tokens_details":'
        '{"reasoning_tokens":0}},"max_output_tokens":null,"max_tool_calls":null,"store":false,'
        '"background":false,"service_tier":"default","metadata":{},"safety_identifier":null,'
        '"prompt_cache_key":null}\n'
    )


async def test_a_response_in_events(rest: Rest) -> None:
    reply = await respond(rest, stream=True)
    created, begun, added, *between, done, completed = named_events(reply)
    assert [created["type"], begun["type"]] == ["response.created", "response.in_progress"]
    assert created["response"] == begun["response"]
    assert created["response"]["status"] == "in_progress"
    assert created["response"]["output"] == []
    assert created["response"]["usage"] is created["response"]["completed_at"] is None
    item = added["item"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    part, whole = {**item, "content": []}, {**item, "status": "completed"}
    assert part == {
        "id": item["id"], "type": "message", "status": "in_progress", "role": "assistant",
        "content": [],
    }  # fmt: skip
    whole["content"] = [{**empty, "text": "Hello!"}]
    text = "response.output_text"
    assert [numberless(event) for event in between] == [
        {"type": "response.content_part.added", **place, "part": empty},
        {"type": f"{text}.delta", **place, "delta": "Hel", "logprobs": []},
        {"type": f"{text}.delta", **place, "delta": "lo", "logprobs": []},
        {"type": f"{text}.delta", **place, "delta": "!", "logprobs": []},
        {"type": f"{text}.done", **place, "text": "Hello!", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole["content"][0]},
    ]
    assert (done["output_index"], done["item"]) == (0, whole)
    assert completed["type"] == "response.completed"
    assert completed["response"]["output"] == [whole]
    assert completed["response"]["usage"]["total_tokens"] == 21


def numberless(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "sequence_number"}


async def test_events_count_and_sort_their_keys(rest: Rest) -> None:
    reply = await respond(rest, stream=True)
    events = named_events(reply)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in (*events, events[0]["response"], events[-1]["response"]["usage"]):
        assert list(event) == sorted(event)
    assert b"[DONE]" not in reply.body


async def test_reasoning_text_and_calls_are_items(rest: Rest) -> None:
    rest.engine.chat_answer = thinks_speaks_and_calls()
    *events, completed = named_events(await respond(rest, stream=True))
    shown = [(e["type"].removeprefix("response."), e.get("output_index")) for e in events]
    assert shown == [
        ("created", None),
        ("in_progress", None),
        ("output_item.added", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1),
        ("output_text.delta", 1),
        ("output_text.done", 1),
        ("content_part.done", 1),
        ("output_item.done", 1),
        *((type_, index) for index in (2, 3) for type_ in (
            "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
            "output_item.done")),
    ]  # fmt: skip
    response = completed["response"]
    assert response["output"] == items_of(response["id"], response["output"][1]["id"])
    assert [e["item"] for e in events if e["type"].endswith("item.done")] == response["output"]
    added = [e["item"] for e in events if e["type"].endswith("item.added")]
    assert added[0] == {"id": f"rs_{response['id']}", "type": "reasoning", "summary": []}
    assert (added[2]["status"], added[2]["arguments"]) == ("in_progress", "")
    thought = {"item_id": added[0]["id"], "output_index": 0, "summary_index": 0}
    type_ = "response.reasoning_summary_text"
    assert [numberless(event) for event in events[4:6]] == [
        {"type": f"{type_}.delta", **thought, "delta": "b"},
        {"type": f"{type_}.done", **thought, "text": "ab"},
    ]
    whole = (await respond(rest)).json
    assert whole["output"] == items_of(whole["id"], whole["output"][1]["id"])


def items_of(response: str, message: str) -> list[dict[str, Any]]:
    part = {"type": "output_text", "text": "cd", "annotations": [], "logprobs": []}
    call = {"type": "function_call", "status": "completed"}
    return [
        {"id": f"rs_{response}", "type": "reasoning", "encrypted_content": "ab",
         "summary": [{"type": "summary_text", "text": "ab"}]},
        {"id": message, "type": "message", "status": "completed", "role": "assistant",
         "content": [part]},
        {"id": f"fc_{response}_0", **call, "call_id": "call_r0zjq7px", "name": "f",
         "arguments": '{"a":1,"b":"\\u003c"}'},
        {"id": f"fc_{response}_1", **call, "call_id": "call_2", "name": "g", "arguments": "{}"},
    ]  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_that_was_cut_says_so(rest: Rest, stream: bool) -> None:
    rest.engine.chat_answer = [
        chat_started(messages_dropped_count=3),
        chat_finished(
            reason=generation_pb2.FINISH_REASON_LENGTH, prompt_count=8, prompt_cached_count=5,
            prompt_dropped_count=9,
        ),
    ]  # fmt: skip
    reply = await respond(rest, stream=stream)
    answer = named_events(reply)[-1]["response"] if stream else reply.json
    assert answer["status"] == "completed"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert answer["usage"]["input_tokens_details"] == {"cached_tokens": 5}
    assert (answer["prompt_dropped_count"], answer["messages_dropped_count"]) == (9, 3)
    assert [part["text"] for item in answer["output"] for part in item["content"]] == [""]


@pytest.mark.parametrize("stream", [True, False])
async def test_without_input_the_model_is_loaded(rest: Rest, stream: bool) -> None:
    for body in ({"input": ""}, {"input": None}, {"input": []}):
        reply = await respond(rest, stream=stream, **body)
        answer = named_events(reply)[-1]["response"] if stream else reply.json
        assert answer["output"][0]["content"][0]["text"] == ""
        assert answer["usage"]["total_tokens"] == 0
    assert rest.engine.names() == ["GetModel", "Load"] * 3


async def test_what_is_repeated(rest: Rest) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}}
    said: dict[str, Any] = {
        "instructions": "i", "max_output_tokens": 7, "temperature": 0.5, "top_p": 0.25,
        "truncation": "auto", "background": True,
        "reasoning": {"effort": "none", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}, "verbosity": "low"},
    }  # fmt: skip
    tool = {"type": "function", "name": "f", "description": "d", "strict": True,
            "parameters": parameters}  # fmt: skip
    # A line end in the text of the schema must not end the line of an event.
    text = json.dumps({"model": "tiny", "input": "hi", "stream": True, "tools": [tool], **said},
                      indent=1)  # fmt: skip
    reply = await rest.request("POST", PATH, text.encode())
    for event in (named_events(reply)[0], named_events(reply)[-1]):
        assert {key: event["response"][key] for key in said} == said
        assert event["response"]["tools"] == [tool]


# ---- requests ------------------------------------------------------------------------------------


async def test_the_temperature_of_openai_wins_over_the_models(rest: Rest) -> None:
    hi = [{"role": "user", "content": "hi"}]
    assert await asked(rest) == {
        "model": "tiny", "messages": hi, "options": {"temperature": 1.0},
    }  # fmt: skip
    request = await asked(
        rest, instructions="be kind", max_output_tokens=9, temperature=0, top_p=0.5,
        reasoning={"effort": "xhigh"}, text={"format": {"type": "json_schema", "schema": {}}},
        conversation="c", include=["reasoning.encrypted_content"], previous_response_id="r",
        store=True, tool_choice="required", metadata={"a": "b"}, parallel_tool_calls=False,
    )  # fmt: skip
    assert request["messages"] == [{"role": "system", "content": "be kind"}, *hi]
    assert request["options"] == {"num_predict": 9, "temperature": 0.0, "top_p": 0.5}
    assert request["think"] == {"enabled": True, "level": "max"}
    assert request["format"] == {"json_schema": "{}"}
    assert "json" in (await asked(rest, text={"format": {"type": "json_object"}}))["format"]
    for none in ({}, {"format": {"type": "text"}}):
        assert "format" not in await asked(rest, text=none)


async def test_tools_alone_and_in_namespaces(rest: Rest) -> None:
    function = {"type": "function", "name": "f", "description": "d", "parameters": {}}
    tools = [
        function,
        {"type": "web_search", "external_web_access": False},
        {"type": "namespace", "name": "ns", "tools": [function, {"type": "function"}]},
    ]
    plain = {"description": "d", "parameters_json_schema": "{}"}
    assert (await asked(rest, tools=tools))["tools"] == [
        {"name": "f", **plain}, {"name": "ns.f", **plain}, {"name": "ns."},
    ]  # fmt: skip
    told = (await respond(rest, tools=tools)).json["tools"]
    assert [tool["name"] for tool in told] == ["f", "ns.f", "ns."]


async def test_a_whole_conversation(rest: Rest) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,YQ==", "detail": "auto"}
    items = [
        {"role": "Developer", "content": "d"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look "}, picture,
            {"type": "input_text", "text": "here"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "hm"},
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "calling", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": " {} "},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [
            {"type": "input_text", "text": "two"}, picture]},
        {"type": "reasoning", "encrypted_content": "s"},
        {"type": "reasoning", "encrypted_content": None, "summary": []},
        {"type": "reasoning", "encrypted_content": "o"},
        {"type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c3"},
    ]  # fmt: skip
    assert (await asked(rest, input=items))["messages"] == [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "look here", "images": ["YQ=="]},
        {"role": "assistant", "content": "calling", "thinking": "hm", "tool_calls": [
            {"id": "c1", "name": "f", "arguments": {"a": 1.0}},
            {"id": "c2", "index": 1, "name": "g", "arguments": {}},
        ]},
        {"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "two", "images": ["YQ=="], "tool_name": "g",
         "tool_call_id": "c2"},
        {"role": "assistant", "thinking": "so", "tool_calls": [
            {"id": "c3", "name": "f", "arguments": {}}]},
        {"role": "tool", "tool_name": "f", "tool_call_id": "c3"},
    ]  # fmt: skip


# ---- refusals ------------------------------------------------------------------------------------


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [fields]}


def part(**fields: Any) -> dict[str, Any]:
    return item(role="user", content=[fields])


def call(arguments: str) -> dict[str, Any]:
    return item(type="function_call", call_id="c", name="f", arguments=arguments)


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "name": "x", **fields}]}


NO_ARGUMENTS = "input[0]: failed to parse function call arguments: "
REFUSED: list[tuple[Any, str]] = [
    (b"", "EOF"),
    (b"[]", "json: cannot unmarshal array into Go value of type openai.ResponsesRequest"),
    ({"input": 1}, "input must be a string or array: json: cannot unmarshal number into Go value "
                   "of type []json.RawMessage"),
    (item(type="zz"), 'input[0]: unknown input item type: "zz"'),
    (item(content="x"), "input[0]: input item missing required 'type' field"),
    ({"input": ["x"]}, "input[0]: json: cannot unmarshal string into Go value of type "
                       "openai.ResponsesInputItem"),
    (item(role=1), "input[0]: json: cannot unmarshal number into Go struct field "
                   "ResponsesInputItem.role of type string"),
    (item(role="user", content=1), "input[0]: content must be a string or array, not number"),
    (part(type="zz"), 'input[0]: content[0]: unknown content type: "zz"'),
    (part(type="input_file", file_id="f"),
     "input[0]: content[0]: file inputs are not currently supported"),
    (part(type="input_image", file_id="f"),
     "input[0]: content[0]: image_url is required: files are not kept here"),
    (part(type="input_image", image_url="https://example.com/a.png"),
     "input[0]: content[0]: image URLs are not currently supported, please use base64 encoded "
     "data instead"),
    (part(type="input_image", image_url="data:image/gif;base64,YQ=="),
     "input[0]: content[0]: invalid image input"),
    (call(""), f"{NO_ARGUMENTS}unexpected end of JSON input"),
    (call('{"a"'), f"{NO_ARGUMENTS}unexpected EOF"),
    (call("[]"), f"{NO_ARGUMENTS}json: cannot unmarshal array into Go value of type "
                 "api.ToolCallFunctionArguments"),
    ({"max_output_tokens": "x"}, "json: cannot unmarshal string into Go struct field "
                                 "ResponsesRequest.max_output_tokens of type int"),
    ({"reasoning": {"effort": "x"}},
     'invalid reasoning value: "x" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", '
     '"max", or "none")'),
    ({"tools": [{"type": "mcp"}]}, 'tools[0]: tools of the type "mcp" are not supported'),
    (tool(parameters="y"),
     'tools[0]: invalid parameters for tool "x": json: cannot unmarshal string into Go value of '
     "type api.ToolFunctionParameters"),
]  # fmt: skip


async def test_bodies_that_the_translation_refuses(rest: Rest) -> None:
    for body, text in REFUSED:
        reply = await rest.request("POST", PATH, body)
        assert failure(reply) == (400, "invalid_request_error", text)
        assert reply.type == "application/json; charset=utf-8"
    assert not rest.engine.requests


@pytest.mark.parametrize("stream", [True, False])
async def test_what_the_engine_refuses(rest: Rest, stream: bool) -> None:
    rest.engine.chat_answer = [Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND)]
    reply = await respond(rest, stream=stream)
    assert failure(reply) == (404, "not_found_error", "model 'tiny' not found")
    assert (reply.type, reply.headers["Cache-Control"]) == ("application/json", "no-cache")


async def test_an_error_on_the_way_is_an_event(rest: Rest) -> None:
    rest.engine.chat_answer = [chat_pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    *_, shown, last = named_events(await respond(rest, stream=True))
    assert shown["delta"] == "a"
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    text = "an error was encountered while running the model: signal 6"
    assert last["response"]["error"] == {"code": "server_error", "message": text}


async def test_the_prompt_is_shown(rest: Rest) -> None:
    reply = await respond(rest, _debug_render_only=True)
    assert reply.json["_debug_info"] == {"rendered_template": "<rendered>"}
