"""Whatever a model of random weights says under a form, it is of that form."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gguf_files import tiny_llama
from llamawire.engine.structure import Form
from native.conftest import Client, native

ANSWERS = 4
NUM_PREDICT = 400

# ---- schemas -------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "ab", "a-b", 'q"t', "é", "日本", "back\\slash", "]^", ""])
small = st.integers(0, 3)
bounds = st.integers(-300, 300) | st.sampled_from([0, 9, 10, 99, 100, 12345, -10, -99, -1000])


@st.composite
def number_schemas(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    low, high = sorted([draw(bounds), draw(bounds)])
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = high + 3
    return schema


@st.composite
def string_schemas(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["length", "format", "pattern"]))
    if kind == "length":
        least = draw(small)
        return {"type": "string", "minLength": least, "maxLength": least + draw(small)}
    if kind == "format":
        form = draw(st.sampled_from(["date", "time", "date-time", "uuid"]))
        return {"type": "string", "format": form}
    patterns = [
        "^[a-z]{2,4}$", "^[^a]{1,5}$", '^("|x|\\\\){1,3}$', "^a.?b$", "b", "^(\\d{3})?-\\w+$",
        "^(?:[\\s\\S]x){1,2}$", "^[\\]\\-^]{1,3}$", "^é|[0-9]$", "^\\u0041\\x42(c|d)*$",
    ]  # fmt: skip
    return {"type": "string", "pattern": draw(st.sampled_from(patterns))}


values = st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from(["x", 'a"b', "é", [1]])
leaves = (
    number_schemas()
    | string_schemas()
    | st.builds(lambda kind: {"type": kind}, st.sampled_from(["boolean", "null", "integer"]))
    | st.builds(lambda value: {"const": value}, values)
    | st.builds(lambda some: {"enum": some}, st.lists(values, min_size=1, max_size=4))
    | st.just({"type": ["string", "null", "boolean"], "maxLength": 4})
)


@st.composite
def object_schemas(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(names, inner, max_size=4))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    chosen = draw(st.sets(st.sampled_from(sorted(properties)))) if properties else set()
    schema["required"] = sorted(chosen) + draw(st.sampled_from([[], [], ["not described"]]))
    if "not described" in schema["required"] or draw(st.booleans()):
        schema["additionalProperties"] = draw(st.just({"type": "boolean"}) | st.just({"const": 1}))
    return schema


@st.composite
def array_schemas(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    prefix = draw(st.lists(inner, max_size=2))
    if prefix:
        schema["prefixItems"] = prefix
    if not prefix or draw(st.booleans()):
        schema["items"] = draw(inner)
    least = draw(small)
    schema["minItems"] = least if "items" in schema else min(least, len(prefix))
    schema["maxItems"] = max(schema["minItems"], draw(small))
    return schema


@st.composite
def combinations(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["anyOf", "oneOf", "allOf"]))
    if kind == "anyOf":
        return {"anyOf": draw(st.lists(inner, min_size=1, max_size=3))}
    if kind == "oneOf":
        return {"oneOf": [{"type": "boolean"}, {"type": "string", "maxLength": 2}, {"const": 7}]}
    return {
        "allOf": [
            {"type": "object", "properties": {"x": draw(inner)}, "required": ["x"]},
            {"properties": {"y": draw(inner)}},
        ]
    }


schemas = st.recursive(
    leaves,
    lambda inner: object_schemas(inner) | array_schemas(inner) | combinations(inner),
    max_leaves=6,
)


# ---- the models ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["spm", "bpe"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("structured")
    path = tiny_llama(folder / "tiny.gguf", tokenizer=request.param, blocks=1)
    loop = native.Loop(native.Model(path), num_parallel=ANSWERS, num_ctx=1024)
    yield Client(loop)
    loop.close()


def answers(client: Client, form: Form, start: int = 5, **options: Any) -> list[str]:
    """Complete answers among some; those that num_predict cut are left out."""
    grammar = form.grammar()
    ids = [
        client.submit(
            [1, start, seed + 3], grammar=grammar.text, grammar_root=grammar.root, seed=seed,
            **{"temperature": 1.5, "top_k": 0, "num_predict": NUM_PREDICT, **options},
        )
        for seed in range(ANSWERS)
    ]  # fmt: skip
    jobs = client.finish(*ids)
    for job in jobs:
        assert job.last.kind == native.EVENT_FINISHED, job.last
    return [job.text.decode() for job in jobs if job.reason == "stop"]


COUNTS = {"complete": 0, "schemas": 0}

hard = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@hard
@given(schema=schemas, top_k=st.sampled_from([0, 5, 40]))
def test_a_complete_answer_is_valid_under_its_schema(
    client: Client, schema: dict[str, Any], top_k: int
) -> None:
    COUNTS["schemas"] += 1
    for text in answers(client, Form("json_schema", json.dumps(schema)), top_k=top_k):
        COUNTS["complete"] += 1
        jsonschema.validate(json.loads(text), schema)


def test_most_answers_were_complete() -> None:
    """What the test above proves is about complete answers only."""
    if COUNTS["schemas"]:
        assert COUNTS["complete"] > COUNTS["schemas"] * ANSWERS / 2


@hard
@given(start=st.integers(3, 250))
def test_json_is_one_object_with_plain_blank_space(client: Client, start: int) -> None:
    for text in answers(client, Form("json"), start, num_predict=150):
        assert isinstance(json.loads(text), dict)
        assert not re.search(r"[\r\f\v\u00a0]", re.sub(r'"([^"\\]|\\.)*"', "", text))


EXPRESSIONS = [
    r"(yes|no)", r"\d{3}-\d{4}", r"[A-Z][a-z]{1,5}(, [A-Z][a-z]{1,5}){0,3}", r"a*?b+?c??",
    r"[^\w\s]{1,4}", r"(?P<year>19|20)\d\d", r"^(é|日本){1,3}$", r".{1,5}", r"(a|b|(c|d)*)e",
    r'"\\\[\n"', r"\x41\u00e9[\x30-\x39]", r"|a", r"[a\-\]^]{2}", r"^a|b$", r"(x?y)*z",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_complete_answer_matches_its_expression(client: Client, expression: str) -> None:
    found = answers(client, Form("regex", expression))
    assert found
    for text in found:
        assert re.fullmatch(expression.strip("^$"), text, re.ASCII), text


@pytest.mark.parametrize("is_open", [True, False])
def test_what_follows_the_thinking_has_the_form(client: Client, is_open: bool) -> None:
    grammar = Form("regex", "(yes|no)!").grammar().after_thinking("<t>", "/", is_open=is_open)
    ids = [
        client.submit(
            [1, seed + 9], grammar=grammar.text, grammar_root=grammar.root, seed=seed,
            temperature=2.0, top_k=0, num_predict=3000, shift=True,
        )
        for seed in range(40)
    ]  # fmt: skip
    texts = [job.text.decode() for job in client.finish(*ids) if job.reason == "stop"]
    assert texts
    for text in texts:
        thinking, closing, answer = text.partition("/")
        if not closing:
            assert not is_open
            answer = thinking
        assert answer.strip() in ("yes!", "no!"), text


def test_every_keyword_that_is_documented_has_an_effect(client: Client) -> None:
    for schema, valid in [
        ({"const": {"a": [1, None]}}, {'{"a":[1,null]}'}),
        ({"enum": [1, "a"], "type": "string"}, {'"a"'}),
        ({"type": "integer", "minimum": 7, "exclusiveMaximum": 9}, {"7", "8"}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, {"null"}),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, {"1", "2"}),
        ({"allOf": [{"type": ["null", "boolean"]}, {"type": "null"}]}, {"null"}),
        ({"type": "string", "pattern": "^ab?$"}, {'"a"', '"ab"'}),
        ({"type": "string", "maxLength": 0}, {'""'}),
    ]:
        found = answers(client, Form("json_schema", json.dumps(schema)))
        assert found
        assert set(found) <= valid


BROKEN = ["root ::= x", 'root ::= root "a" | "b"', "%llguidance {}", "root ::= <think>"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_grammar_that_is_none_is_refused_and_the_loop_lives(client: Client, text: str) -> None:
    for call in (
        lambda: client.loop.prepare_grammar(text),
        lambda: client.submit([1], grammar=text),
    ):
        with pytest.raises(native.NativeError, match="grammar") as error:
            call()
        assert error.value.code == "INVALID_ARGUMENT"
    assert client.run([1, 2], grammar='root ::= "ok"').text == b"ok"


def test_logprobs_are_of_the_raw_logits(client: Client) -> None:
    def first(**options: Any) -> list[tuple[int, float]]:
        job_id = client.submit([1, 5, 7], top_logprobs=5, num_predict=1, **options)
        events = []
        while not events or events[-1].kind != native.EVENT_FINISHED:
            events += client.loop.wait(1)
        client.jobs.pop(job_id)
        return next(event.logprobs for event in events if event.tokens)

    plain = first(temperature=0)
    assert [token for token, _ in plain[1:]] == sorted(
        (token for token, _ in plain[1:]), key=dict(plain[1:]).__getitem__, reverse=True
    )
    assert plain[0] == plain[1]
    for options in (
        {"temperature": 2.0, "seed": 3},
        {"temperature": 0, "repeat_penalty": 5.0, "presence_penalty": 3.0},
        {"temperature": 0, "grammar": 'root ::= "ok"'},
    ):
        assert [t for t, _ in first(**options)[1:]] == [t for t, _ in plain[1:]]
        assert first(**options)[1][1] == pytest.approx(plain[1][1])
