"""Models' names in requests, and which mistake is told first, over a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.daemon import Daemon
from gguf_files import tiny_bert

ASKED: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "x"},
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "embed": {"input": "x"},
    "embeddings": {"prompt": "x"},
}
FEW = {"num_predict": 1}


@pytest.fixture(scope="module", autouse=True)
def _models(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`vectors` embeds; `endless` has a template without anything but a prompt."""
    daemon.add_model("vectors", tiny_bert(tmp_path_factory.mktemp("names") / "vectors.gguf"))
    yield
    daemon.request("DELETE", "/api/delete", {"model": "vectors"})


def told(daemon: Daemon, route: str, model: Any, **fields: Any) -> tuple[int, str]:
    body = {"model": model, "stream": False, "options": FEW} | ASKED[route] | fields
    answer = daemon.post(f"/api/{route}", body)
    return answer.status, answer.json.get("error", "")


@pytest.mark.parametrize("name", ["", "   ", None])
def test_a_name_that_is_missing(daemon: Daemon, name: str | None) -> None:
    missing = (404, f"model '{name or ''}' not found")
    required = (400, "model is required")
    found = [told(daemon, route, name) for route in ASKED]
    assert found == [missing, required, missing, required]


@pytest.mark.parametrize(
    "name",
    ["/", "a//b", "!!", "a b", "-x", ".x", "x:", "x:y:z", "é", "a/b/c/d/e", "a" * 300,
     "x@sha256:" + "0" * 64, "http://"],
)  # fmt: skip
def test_a_name_that_is_none(daemon: Daemon, name: str) -> None:
    for route in ASKED:
        assert told(daemon, route, name) == (400, "invalid model name")


@pytest.mark.parametrize("name", ["nope", " nope ", "some/where/else:1"])
def test_a_name_that_nothing_has(daemon: Daemon, name: str) -> None:
    single = (404, f"model '{name}' not found")
    double = (404, f'model "{name}" not found, try pulling it first')
    assert [told(daemon, route, name) for route in ASKED] == [single, single, double, double]


def test_letter_case_and_blanks_do_not_matter_and_come_back_as_sent(daemon: Daemon) -> None:
    for name in (
        " tiny ",
        "TINY",
        "Tiny:LATEST",
        "library/tiny",
        "registry.ollama.ai/library/tiny",
    ):
        assert daemon.generate(model=name, prompt="x", options=FEW).json["model"] == name
        assert daemon.chat("x", model=name, options=FEW).json["model"] == name
    answer = daemon.post("/api/embed", {"model": " VECTORS", "input": "x"})
    assert (answer.status, answer.json["model"]) == (200, " VECTORS")


# The rows of the specification in their order: each request is wrong in its own way and in that of
# a later row. (Only a format that cannot be is told before a template that fails.)
GENERATE: list[tuple[dict[str, Any], int, str]] = [
    ({"top_logprobs": 21, "model": "!!"}, 400, "top_logprobs must be between 0 and 20"),
    ({"model": "!!", "raw": True, "system": "s"}, 400, "invalid model name"),
    ({"model": "nope", "raw": True, "system": "s"}, 404, "model 'nope' not found"),
    ({"raw": True, "system": "s", "think": True}, 400,
     "raw mode does not support template, system, or context"),
    ({"think": True, "suffix": "s", "model": "vectors"}, 400,
     '"vectors" does not support thinking'),
    ({"suffix": "s", "model": "vectors", "options": {"top_k": "x"}}, 400,
     '"vectors" does not support generate\n'
     "registry.ollama.ai/library/vectors:latest does not support insert"),
    ({"suffix": "s", "model": "endless", "options": {"top_k": "x"}}, 400,
     "registry.ollama.ai/library/endless:latest does not support insert"),
    ({"options": {"top_k": "x"}, "template": "{{"}, 500,
     'option "top_k" must be of type integer'),
    ({"template": "{{ .X", "context": [10**8]}, 500, "template: :1: unclosed action"),
    ({"context": [10**8], "template": "{{ index .Messages 9 }}"}, 400,
     "context: token id 100000000 is outside the vocabulary of 2048 tokens"),
    ({"template": "{{ index .Messages 9 }}", "truncate": False}, 500,
     'template: :1:3: executing "" at <index .Messages 9>: error calling index: '
     "index out of range: 9"),
    ({"format": "xml", "raw": True, "prompt": "x " * 5000}, 500,
     'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "text"), GENERATE)
def test_the_first_mistake_is_told(
    daemon: Daemon, fields: dict[str, Any], status: int, text: str
) -> None:
    answer = daemon.generate(**{"prompt": "x"} | fields)
    assert (answer.status, answer.json["error"]) == (status, text)


def test_unload_comes_before_every_mistake_and_load_before_the_late_ones(daemon: Daemon) -> None:
    wrong: dict[str, Any] = {"options": {"top_k": "x"}, "think": True, "raw": True, "system": "s"}
    for model in ("tiny", "vectors"):
        assert daemon.generate(model=model, keep_alive=0, **wrong).json["done_reason"] == "unload"
        assert daemon.chat(model=model, keep_alive=0, **wrong).json["done_reason"] == "unload"
    late = {"template": "{{", "format": "xml", "context": [10**8], "_debug_render_only": True}
    assert daemon.generate(prompt="", **late).json["done_reason"] == "load"
    assert daemon.generate(prompt="", options={"top_k": "x"}).status == 500
    shown = daemon.generate(prompt="x", format="xml", _debug_render_only=True)
    assert "_debug_info" in shown.json


CHAT: list[tuple[dict[str, Any], int, str]] = [
    ({"model": ""}, 400, "model is required"),
    ({"model": "nope", "think": True}, 404, "model 'nope' not found"),
    ({"model": "endless", "think": True, "tools": [{}]}, 400,
     '"endless" does not support thinking'),
    ({"model": "vectors", "options": {"top_k": "x"}}, 400, '"vectors" does not support chat'),
    ({"model": "endless", "tools": [{}], "options": {"top_k": "x"}}, 400,
     "registry.ollama.ai/library/endless:latest does not support tools"),
    ({"options": {"top_k": "x"}, "format": "xml"}, 500, 'option "top_k" must be of type integer'),
    ({"format": 1}, 500, 'invalid format: "1"; expected "json" or a valid JSON Schema object'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "text"), CHAT)
def test_the_first_mistake_of_a_chat_is_told(
    daemon: Daemon, fields: dict[str, Any], status: int, text: str
) -> None:
    answer = daemon.chat("x", **fields)
    assert (answer.status, answer.json["error"]) == (status, text)


def test_an_input_of_a_wrong_type_is_told_before_a_model_that_is_missing(daemon: Daemon) -> None:
    for wrong in (1, True, {}, ["a", 1]):
        answer = daemon.post("/api/embed", {"model": "nope", "input": wrong})
        assert (answer.status, answer.json["error"]) == (400, "invalid input type")


def test_what_follows_the_first_value_and_what_nobody_knows_is_ignored(daemon: Daemon) -> None:
    body = (
        b'{"MODEL":"nope","Model":"tiny","prompt":null,"PROMPT":"x","stream":false,"zzz":[{}],'
        b'"options":{"num_predict":1,"NUM_PREDICT":5,"mirostat":2,"zzz":{}}} and then {"model":1}'
    )
    answer = daemon.request("POST", "/api/generate", body, **{"Content-Type": "text/html"})
    assert (answer.status, answer.json["eval_count"]) == (200, 1)
    assert daemon.request("POST", "/api/chat", b"null").json == {"error": "model is required"}
