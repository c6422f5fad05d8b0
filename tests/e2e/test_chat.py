"""/api/chat over real models: what needs more than a fake engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.daemon import Daemon

SKY = "Why is the sky blue?"
LONG = "Tell me something about the sky, the sea and the sun. " * 3
COLD: dict[str, Any] = {"options": {"temperature": 0}}

# A template of its own, whose tags are single letters: a model that answers by a script can write
# each letter but twice.
TEMPLATE = (
    "{{ range .Messages }}{{ if .Thinking }}[{{ .Thinking }}]{{ end }}{{ .Content }}"
    "{{ if .ToolCalls }}!{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}"
    "{{ end }}{{ end }}{{ end }}{{ if .Tools }} {{ end }}>"
)
THINKS_AND_CALLS = '[hm]ok!f{"a":1}'
TOOLS = [
    {"type": "function", "function": {
        "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
]  # fmt: skip


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def rendered(daemon: Daemon, *messages: Any, **fields: Any) -> str:
    answer = daemon.chat(*messages, _debug_render_only=True, **fields)
    assert answer.status == 200, answer.body
    return str(answer.json["_debug_info"]["rendered_template"])


@pytest.fixture(scope="module")
def pirate(daemon: Daemon) -> Iterator[str]:
    """A model with a SYSTEM and MESSAGEs."""
    body = {
        "model": "pirate-chat", "from": "tiny", "system": "Arr.", "stream": False,
        "messages": [said("user", "Hi"), said("assistant", "Aye")],
    }  # fmt: skip
    assert daemon.post("/api/create", body).json == {"status": "success"}
    yield "pirate-chat"
    daemon.request("DELETE", "/api/delete", {"model": "pirate-chat"})


@pytest.fixture(scope="module")
def scripted(daemon: Daemon) -> Iterator[str]:
    daemon.add_scripted_model("scripted", THINKS_AND_CALLS, template=TEMPLATE)
    yield "scripted"
    daemon.request("DELETE", "/api/delete", {"model": "scripted"})


# ---- the prompt ----------------------------------------------------------------------------------


def test_the_models_system_and_messages_come_first(daemon: Daemon, pirate: str) -> None:
    assert rendered(daemon, "P", model=pirate) == (
        "<|im_start|>system\nArr.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nAye<|im_end|>\n<|im_start|>user\nP<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_system_message_replaces_the_models_but_not_its_messages(
    daemon: Daemon, pirate: str
) -> None:
    text = rendered(daemon, said("system", "Mine."), "P", model=pirate)
    assert "Arr." not in text
    assert "Mine." in text
    assert text.index("Hi<") < text.index("Aye<") < text.index("P<")
    # A system message further back does not.
    assert "Arr." in rendered(daemon, "P", said("system", "Mine."), "Q", model=pirate)


def test_an_answer_that_was_begun_is_continued(daemon: Daemon) -> None:
    begun = [said("user", SKY), said("assistant", "The sky is")]
    assert rendered(daemon, *begun).endswith("<|im_start|>assistant\nThe sky is")
    answer = daemon.chat(*begun, **COLD).json["message"]["content"]
    assert answer
    assert not answer.startswith("The sky is")


def test_truncation_keeps_system_and_last(daemon: Daemon) -> None:
    messages = [said("system", "SYS"), *[LONG] * 5, "LAST"]
    answer = daemon.chat(*messages, options={"num_ctx": 96}, _debug_render_only=True).json
    info = answer["_debug_info"]
    assert 0 < info["messages_dropped_count"] <= 5
    assert "SYS<" in info["rendered_template"]
    assert "LAST<" in info["rendered_template"]
    assert info["rendered_template"].count(LONG) == 5 - info["messages_dropped_count"]
    told = daemon.chat(*messages, options={"num_ctx": 96, "num_predict": 2}).json
    assert told["messages_dropped_count"] == info["messages_dropped_count"]
    assert "prompt_dropped_count" in told
    whole = rendered(daemon, *messages, options={"num_ctx": 96}, truncate=False)
    assert whole.count(LONG) == 5
    refused = daemon.chat(*messages, options={"num_ctx": 96}, truncate=False)
    assert refused.status == 400
    assert "exceeds the available context size" in refused.json["error"]


def test_tools_and_their_results_reach_the_prompt(daemon: Daemon) -> None:
    call = {"function": {"name": "f", "arguments": {"b": 2, "a": {"d": 1, "c": [1.5, "x"]}}}}
    messages = [
        "P",
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "RESULT", "tool_name": "f"},
    ]
    text = rendered(daemon, *messages, tools=TOOLS)
    assert '"name":"f"' in text.replace(" ", "")
    assert '{"name": "f", "arguments": {"a":{"c":[1.5,"x"],"d":1},"b":2}}' in text
    assert "<|im_start|>tool\nRESULT<|im_end|>" in text


# ---- the answer ----------------------------------------------------------------------------------


def test_a_stream_is_what_the_single_answer_is(daemon: Daemon) -> None:
    one = daemon.chat(SKY, **COLD).json
    lines = daemon.chat(SKY, stream=True, **COLD).lines
    assert "".join(line["message"]["content"] for line in lines) == one["message"]["content"]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["eval_count"] == one["eval_count"]
    assert one["done_reason"] == "stop"
    assert "context" not in one
    assert "scatter" in one["message"]["content"]


def test_a_conversation_of_two_turns(daemon: Daemon) -> None:
    first = daemon.chat(SKY, **COLD).json
    second = daemon.chat(SKY, first["message"], "And at sunset?", **COLD).json
    assert second["message"]["content"]
    assert second["prompt_eval_count"] > first["prompt_eval_count"] + first["eval_count"]


def test_thinking_content_and_calls_are_told_apart(daemon: Daemon, scripted: str) -> None:
    answer = daemon.chat("hi", model=scripted, tools=TOOLS, **COLD).json
    (call,) = answer["message"].pop("tool_calls")
    assert answer["message"] == {"role": "assistant", "content": "ok", "thinking": "hm"}
    assert call["function"] == {"index": 0, "name": "f", "arguments": {"a": 1}}
    assert call["id"].startswith("call_")
    assert answer["done_reason"] == "stop"
    lines = daemon.chat("hi", model=scripted, tools=TOOLS, stream=True, **COLD).lines
    messages = [line["message"] for line in lines]
    kinds = [kind for message in messages for kind in ("thinking", "tool_calls") if kind in message]
    assert kinds == ["thinking", "thinking", "tool_calls"]
    assert all(m["content"] == "" for m in messages if "thinking" in m or "tool_calls" in m)
    assert "".join(message["content"] for message in messages) == "ok"
    assert "tool_calls" not in messages[-1]


def test_without_tools_and_thinking_all_is_content(daemon: Daemon, scripted: str) -> None:
    answer = daemon.chat("hi", model=scripted, think=False, **COLD).json
    assert answer["message"] == {"role": "assistant", "content": THINKS_AND_CALLS}


def test_a_tool_that_was_not_offered_is_not_called(daemon: Daemon, scripted: str) -> None:
    other = [{"type": "function", "function": {"name": "zz"}}]
    message = daemon.chat("hi", model=scripted, tools=other, **COLD).json["message"]
    assert "tool_calls" not in message
    assert message["content"].startswith("ok")


def test_generate_tells_thinking_apart_as_well(daemon: Daemon, scripted: str) -> None:
    answer = daemon.generate(model=scripted, prompt="hi", **COLD).json
    assert (answer["thinking"], answer["response"]) == ("hm", 'ok!f{"a":1}')
    assert list(answer)[2:5] == ["response", "thinking", "done"]
    lines = daemon.generate(model=scripted, prompt="hi", stream=True, **COLD).lines
    assert "".join(line.get("thinking", "") for line in lines) == "hm"
    off = daemon.generate(model=scripted, prompt="hi", think=False, **COLD).json
    assert (off["response"], "thinking" in off) == (THINKS_AND_CALLS, False)


def test_a_models_parameter_says_that_it_thinks_only_when_asked(
    daemon: Daemon, scripted: str
) -> None:
    body = {"model": "quiet", "from": scripted, "parameters": {"think": False}, "stream": False}
    assert daemon.post("/api/create", body).json == {"status": "success"}
    silent = daemon.chat("hi", model="quiet", **COLD).json["message"]
    assert silent == {"role": "assistant", "content": THINKS_AND_CALLS}
    for wish in ({"think": True}, {"thinking_token_budget": 100}):
        message = daemon.chat("hi", model="quiet", **wish, **COLD).json["message"]
        assert message["thinking"] == "hm"
    daemon.request("DELETE", "/api/delete", {"model": "quiet"})


def test_tiny_is_told_to_think_and_reads_what_it_thought(daemon: Daemon) -> None:
    begun = {"role": "assistant", "content": "A", "thinking": "T"}
    text = rendered(daemon, "P", begun, "Q", think=True)
    assert text.endswith("user\nQ /think<|im_end|>\n<|im_start|>assistant\n")
    assert "P /think" not in text
    assert "assistant\n<think>\nT\n</think>\n\nA<|im_end|>" in text
    assert "/think" not in rendered(daemon, "Q")


# ---- checks --------------------------------------------------------------------------------------


def test_what_a_model_cannot_do(daemon: Daemon) -> None:
    thinks = daemon.chat(SKY, model="endless", think=True)
    assert (thinks.status, thinks.json) == (400, {"error": '"endless" does not support thinking'})
    calls = daemon.chat("z", model="endless", tools=TOOLS)
    assert calls.status == 400
    assert calls.json["error"] == (
        "registry.ollama.ai/library/endless:latest does not support tools"
    )
    assert daemon.chat("x", model="nope").json == {"error": "model 'nope' not found"}
    assert daemon.chat("x", model="").json == {"error": "model is required"}
    image = daemon.chat({"role": "user", "content": "x", "images": ["YQ=="]})
    assert image.status == 400
    assert "Multimodal data provided" in image.json["error"]


def test_load_and_unload(daemon: Daemon) -> None:
    assert daemon.chat(model="endless").json["done_reason"] == "load"
    loaded = daemon.request("GET", "/api/ps").json["models"]
    assert "endless:latest" in [model["name"] for model in loaded]
    assert daemon.chat(model="endless", keep_alive=0).json["done_reason"] == "unload"


# ---- tokens --------------------------------------------------------------------------------------


def test_tokens_there_and_back(daemon: Daemon) -> None:
    text = "<|im_start|>Grüße 😀"
    tokens = daemon.post("/api/tokenize", {"model": "tiny", "content": text}).json["tokens"]
    back = daemon.post("/api/detokenize", {"model": "tiny", "tokens": tokens}).json
    assert back == {"model": "tiny", "content": text}
    plain = {"model": "tiny", "content": text, "parse_special": False}
    assert len(daemon.post("/api/tokenize", plain).json["tokens"]) > len(tokens)
    counted = {"model": "endless", "content": "abc"}
    bare = daemon.post("/api/tokenize", counted).json["tokens"]
    special = daemon.post("/api/tokenize", {**counted, "add_special": True}).json["tokens"]
    assert special == [1, *bare]
    wrong = daemon.post("/api/detokenize", {"model": "tiny", "tokens": [1 << 30]})
    assert wrong.status == 400, wrong.body
