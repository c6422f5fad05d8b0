"""The text of an answer: where it stops, what a stream shows of it, and what it is made of."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from e2e.daemon import Daemon

RAW: dict[str, Any] = {"model": "said", "prompt": ">", "raw": True}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@pytest.fixture(scope="module", autouse=True)
def _said(daemon: Daemon) -> None:
    daemon.add_scripted_model("said", "so_the_end")


def text(daemon: Daemon, **options: Any) -> tuple[str, str, list[str]]:
    """The answer, its reason, and the pieces of its stream."""
    whole = daemon.generate(**RAW, options={"temperature": 0, **options}).json
    lines = daemon.generate(**RAW, options={"temperature": 0, **options}, stream=True).lines
    pieces = [line["response"] for line in lines]
    assert "".join(pieces) == whole["response"]
    assert lines[-1]["eval_count"] == whole["eval_count"]
    return whole["response"], whole["done_reason"], pieces


def test_all_of_it_is_said(daemon: Daemon) -> None:
    assert text(daemon)[:2] == ("so_the_end", "stop")


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (["the"], "so_"),
        (["_the"], "so"),
        (["end", "the"], "so_"),
        (["e_end"], "so_th"),  # over the ends of many tokens
        (["so"], ""),
        (["nd"], "so_the_e"),
        (["the_x", "o_the_e"], "s"),  # the earliest that is complete
    ],
)
def test_a_stop_string_ends_it_and_no_part_of_it_is_seen(
    daemon: Daemon, stop: list[str], expected: str
) -> None:
    said, reason, pieces = text(daemon, stop=stop)
    assert (said, reason) == (expected, "stop")
    for shown in range(len(pieces)):
        assert expected.startswith("".join(pieces[: shown + 1]))


def test_what_only_looked_like_a_stop_string_is_said(daemon: Daemon) -> None:
    said, _, pieces = text(daemon, stop=["the_ending"])
    assert said == "so_the_end"
    assert "the_end" in pieces  # held back to the last
    said, reason, _ = text(daemon, stop=["the_ending"], num_predict=6)
    assert (said, reason) == ("so_the", "length")
    assert text(daemon, stop=[""])[0] == "so_the_end"
    assert text(daemon, stop=[])[0] == "so_the_end"


def test_a_requests_stop_replaces_the_models(daemon: Daemon) -> None:
    parameters = {"stop": ["the"], "num_predict": 6}
    body = {"model": "stopped", "from": "said", "parameters": parameters, "stream": False}
    assert daemon.post("/api/create", body).json == {"status": "success"}
    try:
        asked = RAW | {"model": "stopped"}
        assert daemon.generate(**asked).json["response"] == "so_"
        options = {"stop": ["end"], "num_predict": 20}
        assert daemon.generate(**asked, options=options).json["response"] == "so_the_"
        assert daemon.generate(**asked, options={"stop": ["x"]}).json["eval_count"] == 6
    finally:
        daemon.request("DELETE", "/api/delete", {"model": "stopped"})


def test_each_line_is_stamped_later_than_the_one_before(daemon: Daemon) -> None:
    for lines in (
        daemon.generate(**RAW, stream=True).lines,
        daemon.chat("x", stream=True, options={"num_predict": 5}).lines,
    ):
        stamps = [line["created_at"] for line in lines]
        assert all(STAMP.fullmatch(stamp) for stamp in stamps)
        keys = [(stamp[:19], stamp[19:].strip(".Z").ljust(9, "0")) for stamp in stamps]
        assert keys == sorted(keys)


def test_the_prompt_is_counted_with_bos_and_with_what_was_cached(daemon: Daemon) -> None:
    asked = {"model": "endless", "prompt": "abc", "raw": True, "options": {"num_predict": 1}}
    first, second = (daemon.generate(**asked).json for _ in range(2))
    tokens = daemon.post("/api/tokenize", {"model": "endless", "content": "abc"}).json["tokens"]
    assert first["prompt_eval_count"] == second["prompt_eval_count"] == 1 + len(tokens)


def test_a_context_holds_thinking_with_its_tags_and_no_bos(daemon: Daemon) -> None:
    template = (
        "{{ range .Messages }}{{ if .Thinking }}[{{ .Thinking }}]{{ end }}{{ .Content }}{{ end }}>"
    )
    daemon.add_scripted_model("thoughtful", "[hm]ok", template=template)
    try:
        answer = daemon.generate(model="thoughtful", prompt="x", options={"temperature": 0}).json
        assert (answer["thinking"], answer["response"]) == ("hm", "ok")
        body = {"model": "thoughtful", "tokens": answer["context"]}
        back = daemon.post("/api/detokenize", body).json["content"]
        assert back.replace("</s>", "").strip() == "x>[hm]ok"
        assert answer["prompt_eval_count"] + answer["eval_count"] == len(answer["context"]) + 1
    finally:
        daemon.request("DELETE", "/api/delete", {"model": "thoughtful"})


def test_a_gap_has_neither_system_nor_messages(daemon: Daemon) -> None:
    body = {
        "model": "gap", "from": "tiny", "system": "SYS", "stream": False,
        "messages": [{"role": "user", "content": "MESSAGE"}],
    }  # fmt: skip
    assert daemon.post("/api/create", body).json == {"status": "success"}
    try:
        shown = daemon.generate(
            model="gap", prompt="P", suffix="S", system="ASKED", _debug_render_only=True
        ).json["_debug_info"]["rendered_template"]
        assert shown == "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"
    finally:
        daemon.request("DELETE", "/api/delete", {"model": "gap"})


IF_RESPONSE = "{{ .System }}/{{ .Prompt }}{{ if .Response }}R:{{ .Response }}{{ end }}tail"


@pytest.mark.parametrize(
    ("template", "fields", "expected"),
    [
        (IF_RESPONSE, {"prompt": "U1"}, "/U1"),
        (IF_RESPONSE, {"prompt": "U1", "system": "S"}, "S/U1"),
        ("[{{ .System }}|{{ .Prompt }}|{{ .Response }}]", {"prompt": "U"}, "[|U|"),
        ("{{ .Prompt }}", {"prompt": "U"}, "U"),
        ("{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}",
         {"prompt": "U", "system": "S"}, "system=S;user=U;"),
        ("{{ .Nope }}|{{ if .Nope }}x{{ end }}|{{ json .Prompt }}{{ .Response }}",
         {"prompt": "<&>"}, '<no value>||"\\u003c\\u0026\\u003e"'),
        ("{{ currentDate | len }} {{ .Prompt }}{{ .Response }}", {"prompt": "U"}, "10 U"),
    ],
)  # fmt: skip
def test_a_template_shows_what_it_makes(
    daemon: Daemon, template: str, fields: dict[str, str], expected: str
) -> None:
    answer = daemon.generate(template=template, _debug_render_only=True, **fields).json
    assert answer["_debug_info"] == {"rendered_template": expected}


def test_a_client_that_leaves_lets_the_next_one_in(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_NUM_PARALLEL="1")
    daemon.add_endless_model()
    body = json.dumps({"model": "endless", "prompt": "z", "raw": True,
                       "options": {"num_predict": 10_000_000}})  # fmt: skip
    leaving = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=60)
    leaving.request("POST", "/api/generate", body)
    response = leaving.getresponse()
    assert json.loads(response.readline())["done"] is False
    leaving.close()
    response.close()
    answer = daemon.generate(model="endless", prompt="z", options={"num_predict": 3})
    assert answer.json["eval_count"] == 3
