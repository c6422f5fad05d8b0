"""What the `anthropic` package makes of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import grpc
import pytest

from llamawire.v1 import chat_pb2
from rest.conftest import Rest
from rest.fake_engine import Failed, chat_finished, chat_pieces, tool_call

HI: Any = [{"role": "user", "content": "hi"}]
ASKED: dict[str, Any] = {"model": "tiny", "max_tokens": 9, "messages": HI}
TOOL: Any = {"name": "f", "input_schema": {"type": "object"}}


@pytest.fixture
async def client(rest: Rest) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = f"http://127.0.0.1:{rest.port}"
    async with anthropic.AsyncAnthropic(base_url=url, api_key="lw_1", max_retries=0) as client:
        yield client


async def test_a_message(rest: Rest, client: anthropic.AsyncAnthropic) -> None:
    answer = await client.messages.create(**ASKED)
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": "Hello!"}]
    assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", 3)
    assert rest.engine.authorizations == ["Bearer lw_1"]


async def test_the_accumulating_stream(rest: Rest, client: anthropic.AsyncAnthropic) -> None:
    rest.engine.chat_answer = [
        chat_pieces(chat_pb2.ChatPiece(thinking="hm"), "Su", "re"),
        chat_pieces(chat_pb2.ChatPiece(tool_calls=[tool_call("f", {"a": 1})])),
        chat_finished(prompt_count=2, generated_count=5),
    ]
    async with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
        texts = [text async for text in stream.text_stream]
        answer = await stream.get_final_message()
    assert texts == ["Su", "re"]
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
    assert answer.content[2].to_dict()["input"] == {"a": 1}
    assert (answer.stop_reason, answer.usage.input_tokens) == ("tool_use", 2)
    # What was answered goes back with the result, as it is.
    result: Any = {"type": "tool_result", "tool_use_id": "call_r0zjq7px", "content": "1"}
    said: Any = {"role": "assistant", "content": [block.to_dict() for block in answer.content]}
    await client.messages.create(
        **{**ASKED, "messages": [*HI, said, {"role": "user", "content": [result]}]}
    )
    request: Any = rest.engine.last(chat_pb2.ChatRequest)
    assert [one.role for one in request.messages] == ["user", "assistant", "tool"]
    assert (request.messages[1].thinking, request.messages[2].tool_name) == ("hm", "f")


async def test_errors_have_their_classes(rest: Rest, client: anthropic.AsyncAnthropic) -> None:
    rest.engine.chat_answer = [Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND)]
    with pytest.raises(anthropic.NotFoundError, match="model 'tiny' not found"):
        await client.messages.create(**ASKED)
    with pytest.raises(anthropic.BadRequestError, match="messages is required"):
        await client.messages.create(**{**ASKED, "messages": []})
    rest.engine.chat_answer = [chat_pieces("a"), Failed("WORKER_CRASHED", "signal 6")]
    with pytest.raises(anthropic.APIStatusError, match="signal 6"):
        async with client.messages.stream(**ASKED) as stream:
            await stream.get_final_message()
