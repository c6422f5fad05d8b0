"""Forms of answers and log-probabilities, from the client to the decode loop."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from e2e.daemon import Daemon
from e2e.test_crash import Reader, kill_worker
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

PERSON = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "available": {"type": "boolean"}},
    "required": ["age", "available"],
}
THINKS = "[hm]ok!"
# Tags of single letters: a model that answers by a script can write each letter but twice.
THINKING_TEMPLATE = (
    "{{ range .Messages }}{{ if .Thinking }}[{{ .Thinking }}]{{ end }}{{ .Content }}{{ end }}>"
)


def grpc_text(daemon: Daemon, form: generation_pb2.Format, **fields: Any) -> str:
    request = generation_pb2.GenerateRequest(
        **{"model": "tiny", "prompt": "Tell me.", "format": form} | fields  # type: ignore[arg-type]
    )
    with daemon.generation() as stub:
        return "".join(p.text for reply in stub.Generate(request) for p in reply.pieces.pieces)


@pytest.fixture(scope="module")
def thinker(daemon: Daemon) -> Iterator[str]:
    daemon.add_scripted_model("thinker", THINKS, template=THINKING_TEMPLATE)
    yield "thinker"
    daemon.request("DELETE", "/api/delete", {"model": "thinker"})


# ---- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["generate", "chat"])
@pytest.mark.parametrize("form", ["json", PERSON])
def test_a_finished_answer_has_its_form(
    daemon: Daemon, route: str, stream: bool, form: Any
) -> None:
    body: dict[str, Any] = {"model": "tiny", "format": form, "stream": stream}
    if route == "generate":
        body["prompt"] = "Respond using JSON."
    else:
        body["messages"] = [{"role": "user", "content": "Respond using JSON."}]
    answer = daemon.post(f"/api/{route}", body | {"options": {"seed": 1, "num_predict": 500}})
    assert answer.status == 200, answer.body
    assert answer.lines[-1]["done_reason"] == "stop"
    text = "".join(
        line["response"] if route == "generate" else line["message"]["content"]
        for line in answer.lines
    )
    value = json.loads(text)
    assert isinstance(value, dict)
    if form != "json":
        jsonschema.validate(value, form)


def test_an_answer_that_is_cut_says_so(daemon: Daemon) -> None:
    answer = daemon.generate(prompt="x", format=PERSON, options={"num_predict": 2}).json
    assert answer["done_reason"] == "length"


def test_grammars_and_regular_expressions_come_by_grpc(daemon: Daemon) -> None:
    form = generation_pb2.Format
    assert grpc_text(daemon, form(grammar='root ::= "yes" | "no"')) in ("yes", "no")
    text = grpc_text(daemon, form(regex=r"\d{3}-\d{4} (am|pm)"))
    assert re.fullmatch(r"\d{3}-\d{4} (am|pm)", text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"type": "nope"}, "unrecognized type nope"),
        ({"properties": {"a": {"not": {}}}}, "error at #/properties/a: not is not supported"),
        ({"$ref": "#/nope"}, "cannot resolve $ref #/nope, nope not found"),
        ({"enum": ["x" * 150_000]}, "longer than"),
        (
            {"type": "array", "minItems": 2000, "items": {"enum": ["a" * 50] * 200}},
            None,  # large, and in order
        ),
    ],
)
def test_a_schema_that_cannot_be_is_refused_before_anything_runs(
    daemon: Daemon, form: Any, told: str | None, stream: bool
) -> None:
    workers = {worker.pid for worker in daemon.busy_workers()}
    answer = daemon.generate(prompt="x", format=form, stream=stream, options={"num_predict": 3})
    assert answer.status == (400 if told else 200), answer.body
    if told:
        assert told in answer.json["error"]
    assert workers <= {worker.pid for worker in daemon.busy_workers()}


def test_rows_with_different_forms_share_a_model(daemon: Daemon) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> str:
        form = {"type": "object", "properties": {f"n{number}": {"const": number}}}
        form["required"] = [f"n{number}"]
        answer = daemon.generate(prompt="x", format=form, options={"num_predict": 100})
        return str(answer.json["response"])

    with ThreadPoolExecutor(8) as pool:
        for number, text in enumerate(pool.map(ask, range(8))):
            assert json.loads(text) == {f"n{number}": number}


def test_a_form_survives_the_worker(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    count = 8_000
    form = generation_pb2.Format(regex=r"([a-y]{1,24}9)*")
    request = generation_pb2.GenerateRequest(
        model="endless", prompt="z", raw=True, format=form,
        options=Options(num_predict=count, num_ctx=4096, temperature=0),
    )  # fmt: skip
    texts = []
    for is_killed in (False, True):
        with daemon.generation() as stub:
            reader = Reader(stub.Generate(request))
            reader.read(50)
            if is_killed:
                kill_worker(daemon)
            reader.read(count)
            reader.read()
        assert reader.finished is not None
        assert reader.finished.resumed_count == int(is_killed)
        texts.append(reader.text)
    assert texts[0] == texts[1]
    assert len(texts[0]) == count
    assert re.fullmatch(r"([a-y]{1,24}9)*[a-y]{0,24}", texts[0])


# ---- a model that thinks first -------------------------------------------------------------------


def chat(daemon: Daemon, model: str, **fields: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False}
    answer = daemon.post("/api/chat", body | {"options": {"temperature": 0}} | fields)
    assert answer.status == 200, answer.body
    message: dict[str, Any] = answer.json["message"]
    return message


def test_what_comes_after_the_thinking_has_the_form(daemon: Daemon, thinker: str) -> None:
    assert chat(daemon, thinker) == {"role": "assistant", "content": "ok!", "thinking": "hm"}
    message = chat(daemon, thinker, format={"enum": ["yes", "oak"]})
    assert message["thinking"] == "hm"
    assert json.loads(message["content"]) in ("yes", "oak")


def test_without_thinking_the_form_begins_at_once(daemon: Daemon, thinker: str) -> None:
    message = chat(daemon, thinker, format={"enum": ["yes", "oak"]}, think=False)
    assert "thinking" not in message
    assert json.loads(message["content"]) in ("yes", "oak")


def test_generate_has_the_form_from_its_start(daemon: Daemon, thinker: str) -> None:
    answer = daemon.generate(model=thinker, prompt="hi", format={"enum": ["yes", "oak"]}).json
    assert json.loads(answer["response"]) in ("yes", "oak")
    assert "thinking" not in answer


# ---- log-probabilities ---------------------------------------------------------------------------

SKY: dict[str, Any] = {"prompt": "Why is the sky blue?", "logprobs": True}


def entries(answer: Any) -> list[dict[str, Any]]:
    return [entry for line in answer.lines for entry in line.get("logprobs", [])]


def test_entries_spell_the_answer(daemon: Daemon) -> None:
    options = {"num_predict": 12, "temperature": 0}
    whole = daemon.generate(**SKY, options=options)
    assert "".join(entry["token"] for entry in entries(whole)) == whole.json["response"]
    for entry in entries(whole):
        assert set(entry) == {"token", "logprob", "bytes"}
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert entry["logprob"] <= 0
    streamed = daemon.generate(**SKY, options=options, stream=True)
    assert "logprobs" not in streamed.lines[-1]
    for line in streamed.lines[:-1]:
        assert "".join(entry["token"] for entry in line["logprobs"]) == line["response"]
    assert [e["token"] for e in entries(streamed)] == [e["token"] for e in entries(whole)]


def test_alternatives_are_the_best_ones_in_order(daemon: Daemon) -> None:
    answer = daemon.generate(**SKY, top_logprobs=5, options={"num_predict": 4, "temperature": 0})
    for entry in entries(answer):
        best = entry["top_logprobs"]
        assert len(best) == 5
        assert best[0]["token"] == entry["token"]
        assert [e["logprob"] for e in best] == sorted((e["logprob"] for e in best), reverse=True)
        assert sum(math.exp(e["logprob"]) for e in best) <= 1.0001
    assert not entries(daemon.generate(prompt="hi", top_logprobs=5, options={"num_predict": 2}))


def test_temperature_and_penalties_change_no_entry(daemon: Daemon) -> None:
    plain = {"num_predict": 1, "temperature": 0}
    hot = {"num_predict": 1, "temperature": 2, "seed": 1, "repeat_penalty": 1.8, "top_k": 3}
    first = [
        {e["token"]: e["logprob"] for e in entries(answer)[0]["top_logprobs"]}
        for answer in (
            daemon.generate(**SKY, top_logprobs=4, options=options) for options in (plain, hot)
        )
    ]
    assert first[0] == pytest.approx(first[1], abs=1e-2)


def test_pieces_that_were_held_back_carry_all_their_entries(daemon: Daemon) -> None:
    options = {"num_predict": 6, "stop": ["bcdx"]}
    answer = daemon.generate(
        model="endless", prompt="z", raw=True, logprobs=True, stream=True, options=options
    )
    found = [(line["response"], len(line.get("logprobs", []))) for line in answer.lines[:-1]]
    assert [text for text, _ in found] == ["a", "bcde", "f"]
    assert [count for _, count in found] == [1, 4, 1]


def test_entries_of_thinking_ride_on_its_lines(daemon: Daemon, thinker: str) -> None:
    body = {
        "model": thinker, "messages": [{"role": "user", "content": "hi"}], "logprobs": True,
        "options": {"temperature": 0},
    }  # fmt: skip
    lines = daemon.post("/api/chat", body).lines
    tokens = "".join(entry["token"] for line in lines for entry in line.get("logprobs", []))
    assert tokens == THINKS
    assert "logprobs" not in lines[-1]
