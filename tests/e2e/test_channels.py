"""Models that write with control tokens: what a client sees, and what it never sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from e2e.daemon import Daemon
from gguf_files import scripted_model, spm_vocabulary, with_tokens
from llamawire.v1 import chat_pb2, generation_pb2

HARMONY = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>",
           "<|call|>")  # fmt: skip
MISTRAL = ("[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")
PLAIN = {"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_space_prefix": False}

HARMONY_TEMPLATE = (
    "{{ range .Messages }}{{ if .Thinking }}<|channel|>analysis<|message|>{{ .Thinking }}<|end|>"
    "{{ end }}{{ if .ToolCalls }}<|call|>{{ end }}{{ end }}{{ if .Tools }}{{ end }}"
    "<|start|>assistant"
)
THINK_TEMPLATE = (
    "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}Go:"
)
MISTRAL_JINJA = (
    "[INST]{% for m in messages %}{% if m.tool_calls %}[TOOL_CALLS]{% endif %}{% endfor %}"
    "{% if tools %}{% endif %}[/INST]"
)

ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

SCRIPTS = {
    "answers": ANALYSIS + "Hm, easy.<|end|>" + FINAL + "Yes: 1<2<|constrain|>!<|return|>",
    "calls": ANALYSIS + "Look.<|end|><|start|>assistant<|channel|>commentary "
    'to=functions.get_weather <|constrain|>json<|message|>{"city":"Paris"}<|call|>',
    "thinks": ANALYSIS + "a" * 21 + "Done.<|return|>",
    "forms": ANALYSIS + "Hm.<|end|>" + FINAL + '{"a": 12}<|return|>',
    "chats": "<|return|>" + "Sure, here you are: {'a': one}" * 3,
}


class Vocabulary:
    """The characters of ASCII, and control tokens."""

    def __init__(self, *marks: str) -> None:
        self.marks = marks
        self.fields = with_tokens(spm_vocabulary(), marks)
        tokens = self.fields["tokenizer.ggml.tokens"]
        assert isinstance(tokens, list)
        self.tokens: list[str] = tokens

    def ids(self, text: str) -> list[int]:
        found = []
        while text:
            mark = next((mark for mark in self.marks if text.startswith(mark)), "")
            piece = mark or text[0]
            found.append(self.tokens.index("▁" if piece == " " else piece))
            text = text[len(piece) :]
        return found

    def write(self, path: Path, prompt: str, script: str, **metadata: object) -> Path:
        """A model that says the script behind a prompt as long as this one."""
        start = len(self.ids(prompt))
        ids = [*self.ids(script), self.tokens.index("</s>")]
        return scripted_model(
            path, ids, start=start, vocabulary=self.fields, metadata={**PLAIN, **metadata}
        )


@pytest.fixture(scope="module")
def models(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    folder = tmp_path_factory.mktemp("channels")
    vocabulary = Vocabulary(*HARMONY)
    for name, script in SCRIPTS.items():
        path = vocabulary.write(folder / f"{name}.gguf", "<|start|>assistant", script)
        daemon.add_model(name, path, template=HARMONY_TEMPLATE)
    thinks = Vocabulary("<think>", "</think>")
    path = thinks.write(folder / "tags.gguf", "Go:", "<think>ab43217")
    daemon.add_model("tags", path, template=THINK_TEMPLATE)
    mistral = Vocabulary(*MISTRAL)
    for name, script in (
        ("mistral", '[TOOL_CALLS]get_weather[ARGS]{"city":"Paris"}'),
        ("mistral-old", '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}]'),
        ("mistral-odd", "So [ARGS]be it.[TOOL_CALLS]nonsense"),
    ):
        path = mistral.write(
            folder / f"{name}.gguf", "[INST][/INST]", script,
            **{"tokenizer.chat_template": MISTRAL_JINJA},
        )  # fmt: skip
        daemon.add_model(name, path)
    return daemon


def message(daemon: Daemon, model: str, **fields: Any) -> dict[str, Any]:
    """The message of a chat, the same whether it is streamed or not."""
    answer = daemon.chat("Well?", model=model, **fields)
    assert answer.status == 200, answer.body
    whole: dict[str, Any] = answer.json["message"]
    lines = daemon.chat("Well?", model=model, stream=True, **fields).lines
    for key in ("content", "thinking"):
        parts = "".join(line["message"].get(key, "") for line in lines)
        assert parts == whole.get(key, "")
    assert lines[-1]["done_reason"] == answer.json["done_reason"]
    assert b"|\\u003e" not in answer.body
    assert "\ufdd0" not in answer.body.decode()
    return whole


def test_channels_become_thinking_and_content(models: Daemon) -> None:
    found = message(models, "answers")
    assert found == {"role": "assistant", "content": "Yes: 1<2!", "thinking": "Hm, easy."}


def test_a_call_in_a_channel_becomes_a_call(models: Daemon) -> None:
    found = message(models, "calls", tools=[WEATHER])
    assert found["thinking"] == "Look."
    assert found["content"] == ""
    (call,) = found["tool_calls"]
    assert call["function"] == {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}


@pytest.mark.parametrize("model", ["mistral", "mistral-old"])
def test_calls_behind_a_control_token_are_found(models: Daemon, model: str) -> None:
    (call,) = message(models, model, tools=[WEATHER])["tool_calls"]
    assert call["function"]["arguments"] == {"city": "Paris"}


def test_marks_that_mean_nothing_are_not_seen(models: Daemon) -> None:
    for tools in ([], [WEATHER]):
        found = message(models, "mistral-odd", tools=tools)
        assert found["content"] == "So be it.nonsense"
        assert "tool_calls" not in found


def test_a_raw_prompt_shows_no_marks_either(models: Daemon) -> None:
    answer = models.generate(model="answers", prompt="0123456789", raw=True).json
    assert answer["response"].endswith("Yes: 1<2!")
    assert "<|" not in answer["response"]
    assert models.generate(model="mistral-odd", prompt="01", raw=True).json["response"] == (
        "So be it.nonsense"
    )


def test_a_stop_string_is_looked_for_in_the_text_and_not_in_marks(models: Daemon) -> None:
    found = message(models, "answers", options={"stop": ["<|channel|>", "2!", "1<"]})
    assert found["content"] == "Yes: "


def test_grpc_tells_the_same(models: Daemon) -> None:
    request = chat_pb2.ChatRequest(
        model="answers", messages=[chat_pb2.ChatMessage(role="user", content="Well?")]
    )
    with models.generation() as stub:
        pieces = [p for reply in stub.Chat(request) for p in reply.pieces.pieces]
    assert "".join(piece.content for piece in pieces) == "Yes: 1<2!"
    assert "".join(piece.thinking for piece in pieces) == "Hm, easy."


# ---- the budget of thinking ----------------------------------------------------------------------


def test_a_budget_ends_the_thinking_and_the_answer_follows(models: Daemon) -> None:
    # 3 thoughts, then `<|end|>` and the header of the final message: 18 tokens.
    found = message(models, "thinks", thinking_token_budget=3)
    assert found == {"role": "assistant", "thinking": "aaa", "content": "Done."}
    assert message(models, "thinks")["thinking"] == "a" * 21 + "Done."


def test_a_budget_counts_between_tags(models: Daemon) -> None:
    # The ending, `\n</think>\n\n`, has 4 tokens, and the script goes on behind them.
    found = message(models, "tags", thinking_token_budget=1)
    assert found == {"role": "assistant", "thinking": "a\n", "content": "17"}


def test_a_budget_of_none_begins_the_answer_at_once(models: Daemon) -> None:
    found = message(models, "tags", thinking_token_budget=0)
    assert "".join(found.get("thinking", "").split()) == ""
    assert found["content"] == "217"


def test_a_budget_comes_by_grpc_and_by_openai_too(models: Daemon) -> None:
    with models.generation() as stub:
        request = generation_pb2.GenerateRequest(
            model="thinks", prompt="Well?",
            think=generation_pb2.Think(enabled=True, budget_tokens=3),
        )  # fmt: skip
        pieces = [p for reply in stub.Generate(request) for p in reply.pieces.pieces]
    assert "".join(piece.text for piece in pieces) == "Done."
    body = {"model": "thinks", "messages": [{"role": "user", "content": "Well?"}],
            "reasoning_effort": "low", "thinking_token_budget": 3}  # fmt: skip
    answer = models.post("/v1/chat/completions", body).json["choices"][0]["message"]
    assert (answer["reasoning"], answer["content"]) == ("aaa", "Done.")


@pytest.mark.parametrize(
    ("model", "fields", "text"),
    [
        ("thinks", {"thinking_token_budget": -1}, "thinking_token_budget must be 0 to 2147483647"),
        ("thinks", {"thinking_token_budget": "x"}, "ChatRequest.thinking_token_budget"),
        ("thinks", {"thinking_token_budget": 1, "think": False}, "thinking_token_budget limits"),
        ("endless", {"thinking_token_budget": 1}, "does not support thinking"),
    ],
)
def test_a_budget_that_cannot_be_is_told(
    models: Daemon, model: str, fields: dict[str, Any], text: str
) -> None:
    answer = models.chat("Well?", model=model, **fields)
    assert answer.status == 400
    assert text in answer.json["error"]


# ---- the form of an answer in channels -----------------------------------------------------------


def test_a_form_is_that_of_the_final_channel(models: Daemon) -> None:
    found = message(models, "forms", format=SCHEMA)
    assert found == {"role": "assistant", "thinking": "Hm.", "content": '{"a": 12}'}


@pytest.mark.parametrize("model", ["chats", "answers", "thinks", "calls"])
def test_whatever_a_model_wants_to_say_its_content_has_the_form(models: Daemon, model: str) -> None:
    answer = models.chat("Well?", model=model, format=SCHEMA, options={"num_predict": 400}).json
    if answer["done_reason"] == "stop":
        jsonschema.validate(json.loads(answer["message"]["content"]), SCHEMA)


def test_generate_has_the_form_in_the_final_channel_too(models: Daemon) -> None:
    answer = models.generate(model="forms", prompt="Well?", format=SCHEMA).json
    assert (answer["thinking"], answer["response"]) == ("Hm.", '{"a": 12}')


def test_a_form_leaves_calls_to_the_model(models: Daemon) -> None:
    found = message(models, "calls", format=SCHEMA, tools=[WEATHER])
    assert found["tool_calls"][0]["function"]["arguments"] == {"city": "Paris"}
    assert found["content"] == ""


def test_a_form_and_a_budget_go_together(models: Daemon) -> None:
    answer = models.chat(
        "Well?", model="thinks", format=SCHEMA, thinking_token_budget=3,
        options={"num_predict": 200},
    ).json  # fmt: skip
    assert answer["message"]["thinking"] == "aaa"
    if answer["done_reason"] == "stop":
        jsonschema.validate(json.loads(answer["message"]["content"]), SCHEMA)
    tags = message(models, "tags", format={"type": "integer"}, thinking_token_budget=1)
    assert tags == {"role": "assistant", "thinking": "a\n", "content": "17"}
