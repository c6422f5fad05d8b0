"""POST /api/generate: what a client sees, and what the engine is asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from llamawire.v1 import generation_pb2, model_pb2, model_service_pb2
from rest.conftest import Rest, Start
from rest.fake_engine import Failed, FakeEngine, finished, pieces, started

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,8}[1-9])?Z")
NOW_NS = 1_795_375_047_078_536_180


def post(body: bytes) -> bytes:
    length = len(body)
    return (
        b"POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: %d\r\n\r\n" % length
        + body
    )


def asked(rest: Rest) -> generation_pb2.GenerateRequest:
    request = rest.engine.last(generation_pb2.GenerateRequest)
    assert isinstance(request, generation_pb2.GenerateRequest)
    return request


async def test_a_stream_has_a_line_for_each_piece(start: Start) -> None:
    rest = await start(clock_ns=lambda: NOW_NS)
    reply = await rest.generate(prompt="hi")
    assert reply.status == 200
    assert reply.type == "application/x-ndjson"
    head = b'{"model":"tiny","created_at":"2026-11-22T19:17:27.07853618Z","response":'
    last = (
        b'"","done":true,"done_reason":"stop","context":[403,407,261],"total_duration":265359300,'
        b'"load_duration":260811435,"prompt_eval_count":5,"prompt_eval_duration":713000,'
        b'"eval_count":3,"eval_duration":1928000}\n'
    )
    assert reply.body == b"".join(
        (
            head + b'"Hel","done":false}\n',
            head + b'"lo","done":false}\n',
            head + b'"!","done":false}\n',
            head + last,
        )
    )


async def test_without_streaming_the_answer_is_the_concatenation(rest: Rest) -> None:
    reply = await rest.generate(prompt="hi", stream=False)
    assert reply.type == "application/json; charset=utf-8"
    assert not reply.body.endswith(b"\n")
    assert list(reply.json) == [
        "model", "created_at", "response", "done", "done_reason", "context", "total_duration",
        "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count",
        "eval_duration",
    ]  # fmt: skip
    assert reply.json["response"] == "Hello!"
    assert STAMP.fullmatch(reply.json["created_at"])


async def test_each_line_is_one_chunk_with_its_newline(rest: Rest) -> None:
    body = b'{"model":"tiny","prompt":"hi"}'
    answer = await rest.raw("POST /api/generate HTTP/1.1\r\nHost: localhost", body)
    head, _, rest_of = answer.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Server:" not in head
    chunks = []
    while rest_of:
        size, _, rest_of = rest_of.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest_of[:length])
        assert rest_of[length : length + 2] == b"\r\n"
        rest_of = rest_of[length + 2 :]
    assert chunks[-1] == b""
    assert [json.loads(chunk)["response"] for chunk in chunks[:-1]] == ["Hel", "lo", "!", ""]
    assert all(chunk.endswith(b"}\n") and chunk.count(b"\n") == 1 for chunk in chunks[:-1])


async def test_http_1_0_gets_lines_without_chunks(rest: Rest) -> None:
    body = b'{"model":"tiny","prompt":"hi"}'
    answer = await rest.raw("POST /api/generate HTTP/1.0", body)
    head, _, lines = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert [json.loads(line)["response"] for line in lines.splitlines()] == ["Hel", "lo", "!", ""]


async def test_empty_pieces_have_no_line_and_text_is_escaped_as_go_does(rest: Rest) -> None:
    text = '<a&b>\u2028\u2029\x00\x1f\x7f"\\/\b\f\n\r\té😀'
    rest.engine.answer = [pieces("", text, ""), pieces(""), finished()]
    reply = await rest.generate(prompt="hi")
    assert [line["response"] for line in reply.lines] == [text, ""]
    before, after = rb'"\u003ca\u0026b\u003e\u2028\u2029\u0000\u001f', rb"\"\\/\b\f\n\r\t"
    assert before + b"\x7f" + after + "é😀".encode() + b'"' in reply.body


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (generation_pb2.FINISH_REASON_STOP, "stop"),
        (generation_pb2.FINISH_REASON_LENGTH, "length"),
        (generation_pb2.FINISH_REASON_CONTEXT, "length"),
        (generation_pb2.FINISH_REASON_DEADLINE, "deadline"),
    ],
)
async def test_done_reason(rest: Rest, reason: int, word: str) -> None:
    rest.engine.answer = [finished(reason=reason)]
    reply = await rest.generate(prompt="hi")
    assert reply.lines[-1]["done_reason"] == word


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_prompt_is_never_silent(rest: Rest, stream: bool) -> None:
    rest.engine.answer = [started(messages_dropped_count=2), finished(prompt_dropped_count=7)]
    reply = await rest.generate(prompt="hi", stream=stream)
    last = json.loads(reply.body.splitlines()[-1])
    assert (last["prompt_dropped_count"], last["messages_dropped_count"]) == (7, 2)


async def test_every_field_reaches_the_engine(rest: Rest) -> None:
    await rest.generate(
        model=" tiny ", prompt="p", suffix="s", system="y", template="t", context=[1, 2],
        images=["AQID"], format={"type": "object", "properties": {"b": 1, "a": 2}},
        options={"seed": 42, "stop": ["x"]}, keep_alive="1m30s", truncate=False, shift=False,
        think="high", logprobs=True, top_logprobs=3, timeout=1.5, raw=False,
        priority=-3, user="u",
    )  # fmt: skip
    request = asked(rest)
    assert (request.model, request.prompt, request.suffix) == ("tiny", "p", "s")
    assert (request.system, request.template) == ("y", "t")
    assert list(request.context.ids) == [1, 2]
    assert list(request.images) == [b"\x01\x02\x03"]
    # As written: the order of the properties has a meaning.
    assert json.loads(request.format.json_schema)["properties"] == {"b": 1, "a": 2}
    assert request.format.json_schema.index('"b"') < request.format.json_schema.index('"a"')
    assert request.options.seed == 42
    assert list(request.options.stop.values) == ["x"]
    assert request.keep_alive.seconds == 90
    assert request.HasField("truncate")
    assert not request.truncate
    assert request.HasField("shift")
    assert (request.think.enabled, request.think.level) == (True, "high")
    assert request.logprobs.top == 3
    assert request.timeout.ToMilliseconds() == 1500
    assert (request.priority, request.user) == (-3, "u")
    assert request.return_context


async def test_what_is_absent_or_null_stays_absent(rest: Rest) -> None:
    body = dict.fromkeys(
        ("suffix", "context", "stream", "raw", "format", "keep_alive", "images", "options",
         "think", "truncate", "shift", "logprobs", "top_logprobs", "timeout",
         "priority", "user")
    )  # fmt: skip
    reply = await rest.generate(prompt="p", **body)
    assert len(reply.lines) == 4
    names = {field.name for field, _ in asked(rest).ListFields()}
    assert names == {"model", "prompt", "options", "return_context"}


async def test_thinking_has_lines_of_its_own(rest: Rest) -> None:
    thought = generation_pb2.Piece(thinking="a & b")
    both = generation_pb2.Piece(thinking="c", text="d")
    found = generation_pb2.Pieces(pieces=[thought, both])
    rest.engine.answer = [generation_pb2.GenerateResponse(pieces=found), pieces("e"), finished()]
    reply = await rest.generate(prompt="p", think=True)
    assert asked(rest).think.enabled
    assert b'"response":"","thinking":"a \\u0026 b","done":false}' in reply.body
    assert b'"response":"d","thinking":"c","done":false}' in reply.body
    whole = await rest.generate(prompt="p", think="low", stream=False)
    assert asked(rest).think.level == "low"
    assert list(whole.json)[2:5] == ["response", "thinking", "done"]
    assert (whole.json["response"], whole.json["thinking"]) == ("de", "a & bc")


async def test_logprobs_ride_on_the_line_of_their_piece(rest: Rest) -> None:
    entry = generation_pb2.TokenLogprob(token=b"a", logprob=-1.5)
    piece = generation_pb2.Piece(text="a", logprobs=[entry])
    found = generation_pb2.Pieces(pieces=[piece, piece])
    rest.engine.answer = [
        generation_pb2.GenerateResponse(pieces=found),
        finished(total_ns=5, prompt_dropped_count=1),
    ]
    reply = await rest.generate(prompt="p", logprobs=True)
    one = b'{"token":"a","logprob":-1.5,"bytes":[97]}'
    assert reply.body.count(b'"response":"a","done":false,"logprobs":[' + one + b"]}") == 2
    assert "logprobs" not in reply.lines[-1]
    whole = await rest.generate(prompt="p", logprobs=True, stream=False)
    tail = b'"total_duration":5,"logprobs":[' + one + b"," + one + b'],"prompt_dropped_count":1}'
    assert whole.body.endswith(tail)


async def test_an_empty_context_counts_as_given(rest: Rest) -> None:
    await rest.generate(prompt="p", context=[])
    assert asked(rest).HasField("context")


async def test_raw_answers_ask_for_no_context(rest: Rest) -> None:
    await rest.generate(prompt="p", raw=True)
    assert not asked(rest).return_context


async def test_the_options_of_the_api_document_and_ours_are_all_passed_on(rest: Rest) -> None:
    options = {
        "num_keep": 5, "seed": 42, "num_predict": 100, "top_k": 20, "top_p": 0.9, "min_p": 0.0,
        "typical_p": 0.7, "repeat_last_n": 33, "temperature": 0.8, "repeat_penalty": 1.2,
        "presence_penalty": 1.5, "frequency_penalty": 1.0, "penalize_newline": True,
        "stop": ["\n", "user:"], "numa": False, "num_ctx": 1024, "num_batch": 2, "num_gpu": 1,
        "main_gpu": 0, "use_mmap": True, "num_thread": 8, "reproducible": True,
    }  # fmt: skip
    reply = await rest.generate(prompt="p", stream=False, options=options)
    assert reply.status == 200
    sent = {field.name: value for field, value in asked(rest).options.ListFields()}
    assert sent.pop("stop").values == ["\n", "user:"]
    assert sent == pytest.approx({key: options[key] for key in options if key != "stop"})


async def test_options_are_truncated_skipped_and_ignored_as_upstream_does(rest: Rest) -> None:
    options = {
        "top_k": 2.9, "num_ctx": -2.9, "seed": 1 << 40, "num_predict": 1e30, "TOP_P": 0.5,
        "mirostat": "x", "numa": "x", "temperature": None, "main_gpu": None, "nope": {"a": []},
    }  # fmt: skip
    reply = await rest.generate(prompt="p", stream=False, options=options)
    assert reply.status == 200
    sent = {field.name: value for field, value in asked(rest).options.ListFields()}
    assert sent == {"top_k": 2, "num_ctx": -2, "seed": 1 << 40, "num_predict": (1 << 31) - 1}


OPTION_ERRORS = [
    ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
    ({"top_k": "x"}, 'option "top_k" must be of type integer'),
    ({"top_k": True}, 'option "top_k" must be of type integer'),
    ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ({"stop": "x"}, 'option "stop" must be of type array'),
    ({"stop": [1]}, 'option "stop" must be of an array of strings'),
]


@pytest.mark.parametrize(("options", "text"), OPTION_ERRORS)
@pytest.mark.parametrize("prompt", ["p", ""])
async def test_wrong_options_answer_500(
    rest: Rest, options: dict[str, Any], text: str, prompt: str
) -> None:
    reply = await rest.generate(prompt=prompt, options=options)
    assert (reply.status, reply.error) == (500, text)
    assert reply.type == "application/json; charset=utf-8"
    # The model was looked at first, and nothing else was done.
    assert rest.engine.names() == ["GetModel"]


@pytest.mark.parametrize("late", [{"options": {"top_k": "x"}}, {"format": "xml"}])
async def test_checks_of_the_model_come_before_late_errors(
    rest: Rest, late: dict[str, Any]
) -> None:
    rest.engine.failures["GetModel"] = Failed(
        "MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND, model="tiny"
    )
    reply = await rest.generate(prompt="p", **late)
    assert (reply.status, reply.error) == (404, "model 'tiny' not found")


async def test_checks_between_the_model_and_late_errors(rest: Rest) -> None:
    wrong: dict[str, Any] = {"prompt": "p", "options": {"top_k": "x"}}
    reply = await rest.generate(**wrong, raw=True, system="s")
    assert reply.error == "raw mode does not support template, system, or context"
    reply = await rest.generate(**wrong, suffix="s")
    assert reply.error == "registry.ollama.ai/library/tiny:latest does not support insert"
    rest.engine.model = model_pb2.Model(full_name="full")
    reply = await rest.generate(**wrong, suffix="s", think=True)
    assert reply.error == (
        '"tiny" does not support thinking\n"tiny" does not support generate\n'
        "full does not support insert"
    )


@pytest.mark.parametrize("written", ['"xml"', "[]", "1", "true"])
async def test_a_format_of_another_form_answers_500(rest: Rest, written: str) -> None:
    body = b'{"model":"tiny","prompt":"p","format": ' + written.encode() + b" }"
    reply = await rest.request("POST", "/api/generate", body)
    quoted = written.replace('"', '\\"')
    assert reply.status == 500
    assert (
        reply.error == f'invalid format: "{quoted}"; expected "json" or a valid JSON Schema object'
    )
    assert reply.type == "application/json"


@pytest.mark.parametrize("body", [{"format": ""}, {"raw": True, "context": []}])
async def test_what_looks_wrong_and_is_not(rest: Rest, body: dict[str, Any]) -> None:
    assert (await rest.generate(prompt="p", stream=False, **body)).status == 200
    assert not asked(rest).HasField("format")


@pytest.mark.parametrize("field", ["format", "images", "suffix", "logprobs"])
async def test_what_is_not_built_yet_is_named(rest: Rest, field: str) -> None:
    values = {"format": "json", "images": ["YQ=="], "suffix": "s", "logprobs": True}
    rest.engine.answer = [
        Failed("NOT_IMPLEMENTED", code=grpc.StatusCode.UNIMPLEMENTED, field=field)
    ]
    reply = await rest.generate(prompt="p", **{field: values[field]})
    assert reply.status == 400
    assert reply.error == f"{field} is not supported by this version of llamawire"
    assert field in {sent.name for sent, _ in asked(rest).ListFields()}


async def test_top_logprobs_is_looked_at_before_the_model(rest: Rest) -> None:
    for value in (-1, 21):
        reply = await rest.generate(prompt="p", top_logprobs=value)
        assert (reply.status, reply.error) == (400, "top_logprobs must be between 0 and 20")
    assert not rest.engine.requests
    assert (await rest.generate(prompt="p", top_logprobs=20)).status == 200
    assert not asked(rest).HasField("logprobs")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_prompt_loads(rest: Rest, stream: bool) -> None:
    reply = await rest.generate(
        model="Tiny", stream=stream, keep_alive=300, options={"num_ctx": 64}
    )
    assert reply.type == "application/json; charset=utf-8"
    stamp = reply.json["created_at"]
    assert reply.body.decode() == (
        f'{{"model":"Tiny","created_at":"{stamp}","response":"","done":true,"done_reason":"load"}}'
    )
    assert rest.engine.names() == ["GetModel", "Load"]
    load = rest.engine.last(model_service_pb2.LoadRequest)
    assert isinstance(load, model_service_pb2.LoadRequest)
    assert (load.model, load.keep_alive.seconds, load.options.num_ctx) == ("Tiny", 300, 64)


@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "-0"])
async def test_keep_alive_0_without_a_prompt_unloads(rest: Rest, keep_alive: object) -> None:
    # Nothing else is looked at.
    reply = await rest.generate(keep_alive=keep_alive, options={"top_k": "x"}, raw=True, system="s")
    assert reply.json["done_reason"] == "unload"
    assert reply.json["done"] is True
    assert rest.engine.names() == ["GetModel", "Unload"]


async def test_load_and_unload_of_an_unknown_model(rest: Rest) -> None:
    rest.engine.failures["GetModel"] = Failed(
        "MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND, model="no"
    )
    for keep_alive in (0, 5):
        reply = await rest.generate(model=" no ", keep_alive=keep_alive)
        assert (reply.status, reply.error) == (404, "model ' no ' not found")


async def test_load_refuses_a_model_that_cannot_generate(rest: Rest) -> None:
    rest.engine.model = model_pb2.Model(full_name="full")
    reply = await rest.generate()
    assert (reply.status, reply.error) == (400, '"tiny" does not support generate')


async def test_debug_render_only(rest: Rest) -> None:
    reply = await rest.generate(prompt="p", format="xml", _debug_render_only=True)
    assert reply.type == "application/json; charset=utf-8"
    assert list(reply.json) == ["model", "created_at", "response", "done", "_debug_info"]
    assert reply.json["_debug_info"] == {"rendered_template": "<rendered>"}
    assert reply.json["done"] is False
    assert (await rest.generate(prompt="", _debug_render_only=True)).json["done_reason"] == "load"


@pytest.mark.parametrize(
    ("model", "status", "text"),
    [
        ("x:cloud", 403, "ollama cloud is disabled: remote model is unavailable"),
        ("x:7b-cloud", 403, "ollama cloud is disabled: remote model is unavailable"),
        ("a:local:cloud", 400, 'use either :local or :cloud, not both: "a:local:cloud"'),
    ],
)
async def test_models_of_the_cloud(rest: Rest, model: str, status: int, text: str) -> None:
    reply = await rest.generate(model=model, prompt="p")
    assert (reply.status, reply.error) == (status, text)
    assert not rest.engine.requests


async def test_the_suffix_local_is_not_part_of_the_name(rest: Rest) -> None:
    reply = await rest.generate(model="tiny:local", prompt="p")
    assert reply.lines[0]["model"] == "tiny:local"
    assert asked(rest).model == "tiny"


@pytest.mark.parametrize("stream", [True, False])
async def test_errors_of_the_handler_before_the_first_line(rest: Rest, stream: bool) -> None:
    rest.engine.answer = [
        Failed("QUEUE_FULL", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_s=2.5, limit="512")
    ]
    reply = await rest.generate(prompt="p", stream=stream)
    assert (reply.status, reply.type) == (503, "application/json; charset=utf-8")
    assert reply.error == "server busy, please try again.  maximum pending requests exceeded"
    assert reply.headers["Retry-After"] == "3"
    assert reply.headers["Content-Length"] == str(len(reply.body))


async def test_errors_of_the_runner_before_the_first_line(rest: Rest) -> None:
    rest.engine.answer = [started(), pieces(""), Failed("WORKER_CRASHED", "signal 6")]
    streamed = await rest.generate(prompt="p")
    assert (streamed.status, streamed.type) == (500, "application/json")
    assert "Content-Length" not in streamed.headers
    assert not streamed.body.endswith(b"\n")
    assert streamed.error.startswith("model runner has unexpectedly stopped, this may be due to")
    assert streamed.error.endswith("check ollama server logs for details: signal 6")
    whole = await rest.generate(prompt="p", stream=False)
    assert (whole.status, whole.type) == (500, "application/json; charset=utf-8")
    assert whole.error == streamed.error


async def test_errors_after_the_first_line_are_the_last_line(rest: Rest) -> None:
    rest.engine.answer = [pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    reply = await rest.generate(prompt="p")
    assert reply.status == 200
    assert reply.lines[0]["response"] == "a"
    error = "an error was encountered while running the model: signal 6"
    assert reply.lines[1:] == [{"error": error}]
    assert (await rest.generate(prompt="p", stream=False)).status == 500


async def test_a_stream_without_an_end_says_so(rest: Rest) -> None:
    rest.engine.answer = [pieces("a")]
    reply = await rest.generate(prompt="p")
    assert "without its last message" in reply.lines[-1]["error"]
    rest.engine.answer = []
    assert (await rest.generate(prompt="p")).status == 500
    assert (await rest.generate(prompt="p", stream=False)).status == 500


HANG_UP_SCRIPTS: dict[str, Callable[[], list[object]]] = {
    "before the first message": lambda: [asyncio.Event()],
    "between two messages": lambda: [pieces("a"), asyncio.Event()],
}


@pytest.mark.parametrize("script", HANG_UP_SCRIPTS)
@pytest.mark.parametrize("stream", [b"true", b"false"])
async def test_a_hang_up_cancels_the_call(rest: Rest, script: str, stream: bytes) -> None:
    rest.engine.answer = HANG_UP_SCRIPTS[script]()
    body = b'{"model":"tiny","prompt":"p","stream":' + stream + b"}"
    _, writer = await rest.send_raw(post(body))
    await asyncio.wait_for(rest.engine.is_asked.wait(), 10)
    writer.transport.abort()
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)
    assert rest.engine.was_cancelled


class LoadsForEver(FakeEngine):
    def __init__(self) -> None:
        super().__init__()
        self.is_loading = asyncio.Event()

    async def Load(self, request: object) -> object:
        self.is_loading.set()
        try:
            return await asyncio.Event().wait()
        finally:
            self.has_ended.set()


async def test_a_hang_up_cancels_a_load(start: Start) -> None:
    engine = LoadsForEver()
    rest = await start(engine)
    _, writer = await rest.send_raw(post(b'{"model":"tiny"}'))
    await asyncio.wait_for(engine.is_loading.wait(), 10)
    writer.transport.abort()
    await asyncio.wait_for(engine.has_ended.wait(), 10)


async def stalls(engine: FakeEngine) -> int:
    """Waits until the engine makes no progress any more; returns how far it came."""
    before = -1
    while engine.sent_count != before:
        before = engine.sent_count
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(engine.has_ended.wait(), 0.3)
    return before


async def test_a_slow_reader_holds_up_its_engine_and_gets_everything(rest: Rest) -> None:
    count, size = 1000, 1 << 16
    rest.engine.answer = [*[pieces("x" * size)] * count, finished()]
    body = b'{"model":"tiny","prompt":"p"}'
    reader, _ = await rest.send_raw(post(body))
    # The kernel's socket buffers hold a few megabytes.
    assert await stalls(rest.engine) < count / 2
    # Others are served meanwhile.
    assert (await rest.request("GET", "/api/version")).status == 200
    received = 0
    while not rest.engine.has_ended.is_set() or received < count * size:
        received += len(await reader.read(1 << 20))
    assert rest.engine.sent_count == count + 1


async def test_a_slow_reader_that_hangs_up_frees_its_engine(rest: Rest) -> None:
    rest.engine.answer = [*[pieces("x" * (1 << 16))] * 1000, finished()]
    body = b'{"model":"tiny","prompt":"p"}'
    _, writer = await rest.send_raw(post(body))
    assert await stalls(rest.engine) < 500
    writer.transport.abort()
    await asyncio.wait_for(rest.engine.has_ended.wait(), 10)
    assert rest.engine.was_cancelled


async def test_the_connection_serves_the_next_request(rest: Rest) -> None:
    body = b'{"model":"tiny","prompt":"p"}'
    request = post(body)
    reader, _ = await rest.send_raw(request + request)
    for _ in range(2):
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 10)
        assert b'"done":true' in answer
