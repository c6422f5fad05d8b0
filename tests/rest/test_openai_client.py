"""What the `openai` package makes of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import openai
import pytest

from llamawire.v1 import chat_pb2
from rest.conftest import Rest
from rest.fake_engine import MODEL, Failed, chat_finished, chat_pieces, chat_started, tool_call


@pytest.fixture
async def client(rest: Rest) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"http://127.0.0.1:{rest.port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def test_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="tiny", messages=HI, max_tokens=5)
    assert answer.choices[0].message.content == "Hello!"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 21


async def test_a_stream_of_chunks(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="tiny", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert texts == ["Hel", "lo", "!", None]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


async def test_the_accumulating_stream(rest: Rest, client: openai.AsyncOpenAI) -> None:
    rest.engine.chat_answer = [
        chat_started(),
        chat_pieces(chat_pb2.ChatPiece(thinking="hm"), "Sure "),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"a": 1})])),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"a": 2}, 1, "call_2")])),
        chat_finished(),
    ]
    async with client.chat.completions.stream(model="tiny", messages=HI, tools=[TOOL]) as stream:
        answer = await stream.get_final_completion()
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.content == "Sure "
    assert message.tool_calls is not None
    assert [call.function.arguments for call in message.tool_calls] == ['{"a":1}', '{"a":2}']
    assert [call.id for call in message.tool_calls] == ["call_r0zjq7px", "call_2"]


async def test_completions(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="tiny", prompt="p")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Hello!", "stop")
    stream = await client.completions.create(model="tiny", prompt="p", stream=True)
    assert [chunk.choices[0].text async for chunk in stream] == ["Hel", "lo", "!", ""]


async def test_responses(rest: Rest, client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model="tiny", input="hi")
    assert (answer.output_text, answer.status) == ("Hello!", "completed")
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(thinking="hm"), "Sure "),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"a": 1})])),
        chat_finished(prompt_count=2, generated_count=3),
    ]
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    async with client.responses.stream(model="tiny", input="hi", tools=[tool]) as stream:
        texts = [event.delta async for event in stream if event.type.endswith("text.delta")]
        answer = await stream.get_final_response()
    assert (texts, answer.output_text) == (["hm", "Sure "], "Sure ")
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    # What was answered goes back with the result, as it is.
    said = [item.model_dump(exclude_unset=True) for item in answer.output]
    result = {"type": "function_call_output", "call_id": "call_r0zjq7px", "output": "1"}
    await client.responses.create(model="tiny", input=[*HI, *said, result])
    request = rest.engine.last(chat_pb2.ChatRequest)
    assert [one.role for one in request.messages] == ["user", "assistant", "tool"]  # type: ignore[attr-defined]
    assert request.messages[1].thinking == "hm"  # type: ignore[attr-defined]


async def test_models(rest: Rest, client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == []
    rest.engine.models = [MODEL]
    assert [model.id async for model in client.models.list()] == ["tiny:latest"]
    assert (await client.models.retrieve("tiny")).owned_by == "library"


async def test_errors_have_their_classes(rest: Rest, client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is too short"):
        await client.chat.completions.create(model="tiny", messages=[])
    rest.engine.failures["GetModel"] = Failed(
        "MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND, model="no:latest"
    )
    with pytest.raises(openai.NotFoundError, match="model 'no:latest' not found"):
        await client.models.retrieve("no")
    rest.engine.chat_answer = [chat_pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    stream = await client.chat.completions.create(model="tiny", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="signal 6"):
        async for _ in stream:
            pass
    failing = await client.responses.create(model="tiny", input="hi", stream=True)
    *_, last = [event async for event in failing]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert "signal 6" in last.response.error.message
