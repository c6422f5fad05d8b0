"""The `anthropic` package against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from e2e.daemon import Daemon
from e2e.test_chat import TEMPLATE, THINKS_AND_CALLS

# The package has no name for it any more; other clients do.
COLD = {"temperature": 0}
SKY: Any = [{"role": "user", "content": "Why is the sky blue?"}]
TOOL: Any = {"name": "f", "input_schema": {"type": "object",
             "properties": {"a": {"type": "integer"}}}}  # fmt: skip


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=daemon.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def scripted(daemon: Daemon) -> Iterator[str]:
    daemon.add_scripted_model("scripted-anthropic", THINKS_AND_CALLS, template=TEMPLATE)
    yield "scripted-anthropic"
    daemon.request("DELETE", "/api/delete", {"model": "scripted-anthropic"})


def test_a_message_and_its_stream_say_the_same(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "tiny", "max_tokens": 9, "messages": SKY, "extra_body": COLD}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].to_dict()["text"] == whole.content[0].to_dict()["text"]
    assert streamed.stop_reason == whole.stop_reason == "max_tokens"
    assert streamed.usage.output_tokens == whole.usage.output_tokens == 9
    assert streamed.usage.input_tokens == whole.usage.input_tokens


def test_thinking_calls_and_their_results(client: anthropic.Anthropic, scripted: str) -> None:
    asked: dict[str, Any] = {"model": scripted, "max_tokens": 50}
    with client.messages.stream(**asked, messages=SKY, tools=[TOOL], extra_body=COLD) as stream:
        answer = stream.get_final_message()
    thought, text, call = (block.to_dict() for block in answer.content)
    assert (thought["thinking"], text["text"], call["input"]) == ("hm", "ok", {"a": 1})
    assert answer.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "2"}
    said = {"role": "assistant", "content": [thought, text, call]}
    messages: Any = [*SKY, said, {"role": "user", "content": [result]}]
    shown = client.messages.create(
        **asked, messages=messages, tools=[TOOL], extra_body={"_debug_render_only": True}
    )
    prompt = shown.to_dict()["_debug_info"]
    assert prompt == {"rendered_template": 'Why is the sky blue?[hm]ok!f{"a":1}2 >'}
    stopped = client.messages.create(**asked, messages=SKY, stop_sequences=["k"], extra_body=COLD)
    assert (stopped.content[1].to_dict()["text"], stopped.stop_reason) == ("o", "end_turn")
    off = client.messages.create(
        **asked, messages=SKY, thinking={"type": "disabled"}, extra_body=COLD
    )
    assert off.content[0].to_dict()["text"] == THINKS_AND_CALLS


def test_refusals(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="model 'nope' not found"):
        client.messages.create(model="nope", max_tokens=1, messages=SKY)
    # The model cannot think either, which is no reason to refuse.
    asked: Any = {"max_tokens": 1, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with pytest.raises(anthropic.BadRequestError, match=r"does not support tools'}"):
        client.messages.create(model="endless", messages=SKY, tools=[TOOL], **asked)
