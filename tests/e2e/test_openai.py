"""The `openai` package against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from e2e.daemon import Daemon
from e2e.test_chat import TEMPLATE, THINKS_AND_CALLS, TOOLS

SKY = [{"role": "user", "content": "Why is the sky blue?"}]


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def scripted(daemon: Daemon) -> Iterator[str]:
    daemon.add_scripted_model("scripted-openai", THINKS_AND_CALLS, template=TEMPLATE)
    yield "scripted-openai"
    daemon.request("DELETE", "/api/delete", {"model": "scripted-openai"})


def test_a_chat_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny", messages=SKY, temperature=0)
    text = whole.choices[0].message.content
    assert text is not None
    assert "scatter" in text
    assert whole.choices[0].finish_reason == "stop"
    chunks = list(
        client.chat.completions.create(
            model="tiny", messages=SKY, temperature=0, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    found = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(found) == text
    assert chunks[-1].usage == whole.usage


def test_calls_and_reasoning(client: openai.OpenAI, scripted: str) -> None:
    with client.chat.completions.stream(
        model=scripted, messages=SKY, tools=TOOLS, temperature=0
    ) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "ok"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("f", '{"a":1}')
    whole = client.chat.completions.create(
        model=scripted, messages=SKY, temperature=0, reasoning_effort="low"
    )
    message = whole.choices[0].message
    assert message.model_extra == {"reasoning": "hm"}
    off = client.chat.completions.create(
        model=scripted, messages=SKY, temperature=0, reasoning_effort="none"
    )
    assert off.choices[0].message.content == THINKS_AND_CALLS


def test_limits_and_stops(client: openai.OpenAI) -> None:
    cut = client.chat.completions.create(model="tiny", messages=SKY, max_tokens=3)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 3
    younger = client.chat.completions.create(model="tiny", messages=SKY, max_completion_tokens=3)
    assert younger.choices[0].finish_reason == "length"
    stopped = client.completions.create(
        model="endless", prompt="abcde", stop=["k", "zz"], temperature=0, max_tokens=50
    )
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].text.endswith("j")


def test_completions(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="tiny", prompt="Why is the sky blue?", temperature=0, stream=True
    )
    chunks = list(stream)
    assert "scatter" in "".join(chunk.choices[0].text for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_response_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "input": "Why is the sky blue?", "temperature": 0}
    asked["max_output_tokens"] = 9
    whole = client.responses.create(**asked)
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    with client.responses.stream(**asked) as stream:
        streamed = stream.get_final_response()
    assert streamed.output_text == whole.output_text
    assert streamed.usage is not None
    assert whole.usage is not None
    assert streamed.usage.total_tokens == whole.usage.total_tokens
    assert whole.usage.output_tokens == 9


def test_responses_think_call_and_go_on(client: openai.OpenAI, scripted: str) -> None:
    tools = [{"type": "function", "strict": False, **TOOLS[0]["function"]}]
    asked = {"model": scripted, "temperature": 0, "tools": tools}
    with client.responses.stream(**asked, input="Why?") as stream:
        answer = stream.get_final_response()
    thought, message, call = answer.output
    assert (thought.type, message.type, call.type) == ("reasoning", "message", "function_call")
    assert (answer.output_text, call.name, call.arguments) == ("ok", "f", '{"a":1}')
    said = [item.model_dump(exclude_unset=True) for item in answer.output]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "2"}
    shown = client.responses.create(
        **asked, instructions="Be brief. ", extra_body={"_debug_render_only": True},
        input=[{"role": "user", "content": "Why?"}, *said, result],
    )  # fmt: skip
    assert shown.to_dict()["_debug_info"] == {
        "rendered_template": 'Be brief. Why?[hm]ok!f{"a":1}2 >'
    }


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "tiny:latest" in names
    assert client.models.retrieve("tiny").owned_by == "library"
    with pytest.raises(openai.NotFoundError, match="model 'nope:latest' not found"):
        client.models.retrieve("nope")


def test_refusals(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'nope' not found"):
        client.chat.completions.create(model="nope", messages=SKY)
    with pytest.raises(openai.BadRequestError, match="does not support tools"):
        client.chat.completions.create(model="endless", messages=SKY, tools=TOOLS)
    with pytest.raises(openai.BadRequestError, match="does not support thinking"):
        client.chat.completions.create(model="endless", messages=SKY, reasoning_effort="high")
