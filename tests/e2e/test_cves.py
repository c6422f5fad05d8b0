"""What was once found in vLLM, llama.cpp and llama-cpp-python, tried on a running server.

The table in docs/security.md names these tests; what was found in Ollama about files and registries
is tried in tests/engine/store/test_cves.py and tests/engine/store/registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.daemon import Answer, Daemon
from gguf_files import tiny_llama
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

FEW = {"num_predict": 4}
REDOS = ["(a+)+b", "((a|a)*)*c", "(x{1,500}){1,500}", "(" * 500 + "a" + ")*" * 500]


def chat(daemon: Daemon, **fields: Any) -> Answer:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
    return daemon.post("/v1/chat/completions", body | fields)


def complete(daemon: Daemon, **fields: Any) -> Answer:
    body = {"model": "tiny", "prompt": "hi", "max_tokens": 4}
    return daemon.post("/v1/completions", body | fields)


def schema(value: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}


def pictured(kind: str, url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, kind: {"url": url}}]}]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One of its own, in which nothing else lets workers die."""
    daemon = Daemon(tmp_path_factory.mktemp("cves"))
    daemon.add_endless_model()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(autouse=True)
def all_is_well_afterwards(daemon: Daemon) -> Any:
    """No worker has died of it, nothing of ours has failed, and the next request is answered."""
    yield
    assert daemon.generate(prompt="hi", options=FEW).status == 200
    deaths = daemon.request("GET", "/metrics").body
    assert not re.search(rb"^llamawire_worker_deaths_total.* [1-9]", deaths, re.MULTILINE)
    assert "a mistake of ours" not in daemon.log.read_text()


@pytest.mark.parametrize(
    "value",
    [{"type": "nonsense"}, {"type": "string", "pattern": "("}, {"$ref": "#/nowhere"}, {"enum": 1}],
)
def test_cve_2025_48942_a_schema_that_is_none_is_refused(daemon: Daemon, value: Any) -> None:
    assert chat(daemon, response_format=schema(value)).status == 400


def test_cve_2025_48943_a_regular_expression_that_is_none_is_refused(daemon: Daemon) -> None:
    request = generation_pb2.GenerateRequest(model="tiny", prompt="hi")
    for text in ("(", "[", "a{2,1}", "*", "\\"):
        request.format.regex = text
        with daemon.generation() as stub, pytest.raises(grpc.RpcError) as caught:
            list(stub.Generate(request))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_cve_2025_48944_a_tool_with_a_broken_type_harms_nobody(daemon: Daemon) -> None:
    broken = {"type": "object", "properties": {"a": {"type": ["x", 1], "pattern": "["}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": broken}}
    assert chat(daemon, tools=[tool]).status in (200, 400)


@pytest.mark.parametrize("pattern", REDOS)
def test_cve_2026_55574_and_cve_2026_73556_no_expression_takes_for_ever(
    daemon: Daemon, pattern: str
) -> None:
    """It becomes a grammar or is refused; nothing backtracks. A request has 60 s to answer."""
    value = {"type": "string", "pattern": f"^{pattern}$"}
    answer = chat(daemon, response_format=schema(value), temperature=0)
    assert answer.status in (200, 400)


def test_cve_2026_2069_a_deep_grammar_does_not_end_the_stack(daemon: Daemon) -> None:
    request = generation_pb2.GenerateRequest(model="tiny", prompt="hi")
    for text in ("root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000, "root ::= root", "root ::= x"):
        request.format.grammar = text
        with daemon.generation() as stub, pytest.raises(grpc.RpcError) as caught:
            list(stub.Generate(request))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [{"n": 10**9}, {"n": -1}, {"best_of": 10**9}, {"use_beam_search": True, "best_of": 10**6}],
)
def test_cve_2026_34756_and_cve_2024_8939_a_count_of_answers_makes_no_work(
    daemon: Daemon, fields: dict[str, Any]
) -> None:
    assert complete(daemon, **fields).status in (200, 400)
    assert chat(daemon, **fields).status in (200, 400)


def test_cve_2026_73559_one_request_is_one_prompt(daemon: Daemon) -> None:
    assert complete(daemon, prompt=["x"] * 50_000).status == 400


def test_cve_2024_8768_an_empty_prompt_is_answered(daemon: Daemon) -> None:
    assert complete(daemon, prompt="").status == 200


def test_cve_2025_62164_embeddings_of_prompts_are_not_read(daemon: Daemon) -> None:
    """CVE-2026-55514, CVE-2026-73557, CVE-2025-62372 and CVE-2026-56340 as well."""
    assert complete(daemon, prompt_embeds="gASVAAAA", prompt=None).status in (200, 400)
    parts = [{"type": "image_embeds", "image_embeds": "gASVAAAA"}]
    assert chat(daemon, messages=[{"role": "user", "content": parts}]).status == 400


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_cve_2026_54235_a_temperature_is_a_number(daemon: Daemon, value: str) -> None:
    body = f'{{"model":"tiny","prompt":"x","options":{{"temperature":{value}}}}}'
    assert daemon.request("POST", "/api/generate", body.encode()).status == 400
    options = Options(temperature=float(value))
    request = generation_pb2.GenerateRequest(model="tiny", prompt="x", options=options)
    with daemon.generation() as stub, pytest.raises(grpc.RpcError) as caught:
        list(stub.Generate(request))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


@pytest.mark.parametrize("field", ["chat_template", "chat_template_kwargs"])
def test_cve_2025_61620_and_cve_2025_62426_a_request_brings_no_jinja(
    daemon: Daemon, field: str
) -> None:
    endless = "{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}"
    value = endless if field == "chat_template" else {"chat_template": endless, "tokenize": True}
    assert chat(daemon, **{field: value}).status in (200, 400)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/a.png", "https://127.0.0.1:9/a.png", "file:///etc/passwd", "//host/a.png",
     "http:\\\\127.0.0.1:9\\a.png", "ftp://127.0.0.1/a.png", "data:text/html,http://127.0.0.1:9/"],
)  # fmt: skip
def test_cve_2025_6242_nothing_is_fetched_for_a_request(daemon: Daemon, url: str) -> None:
    """CVE-2026-24779, CVE-2026-25960, CVE-2026-34753 as well: no address is ever asked."""
    assert chat(daemon, messages=pictured("image_url", url)).status == 400


@pytest.mark.parametrize("kind", ["video_url", "audio_url", "input_audio"])
def test_cve_2026_34755_there_are_no_films_and_no_sound(daemon: Daemon, kind: str) -> None:
    """CVE-2026-5497, CVE-2026-22778, CVE-2026-54233, CVE-2026-55646, CVE-2026-34760 as well."""
    url = "data:video/jpeg;base64," + ",".join(["AAAA"] * 10_000)
    assert chat(daemon, messages=pictured(kind, url)).status == 400


@pytest.mark.parametrize("picture", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_cve_2025_15514_a_picture_that_is_none_is_refused(daemon: Daemon, picture: bytes) -> None:
    """In words that name no address in memory (CVE-2026-22778, CVE-2026-54236)."""
    request = generation_pb2.GenerateRequest(model="tiny", prompt="x", images=[picture])
    with daemon.generation() as stub, pytest.raises(grpc.RpcError) as caught:
        list(stub.Generate(request))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert not re.search("0x[0-9a-f]{6}", caught.value.details())  # type: ignore[attr-defined]


def test_cve_2026_44222_marks_in_a_prompt_are_no_pictures(daemon: Daemon) -> None:
    """Nor do very many of them take quadratic time (CVE-2025-46560)."""
    text = "<|vision_start|><|image_pad|><__media__><image>[IMG]" * 300
    assert daemon.generate(prompt=text, options=FEW).status == 200


def test_cve_2026_73555_an_error_names_no_file_of_ours(daemon: Daemon) -> None:
    for body in (b'{"model": "tiny", "messages": [{"role": 1', b"\xff\xfe", b"[]", b"{}"):
        for path in ("/v1/chat/completions", "/v1/completions", "/api/tokenize", "/api/chat"):
            answer = daemon.request("POST", path, body)
            assert answer.status in (400, 404)
            assert not re.search(rb"/(home|usr|work|tmp|lib)|Traceback|\.py", answer.body)


def test_cve_2025_48956_headers_have_a_limit(daemon: Daemon) -> None:
    assert daemon.request("GET", "/api/version", None, X="x" * (2 << 20)).status == 400


def test_cve_2026_21869_no_shift_goes_backwards(daemon: Daemon) -> None:
    """`n_discard` is llama-server's; what decides here is `num_keep`."""
    for num_keep in (-(1 << 31), -32, 63, 64, (1 << 31) - 1):
        options = {"num_keep": num_keep, "num_ctx": 64, "num_predict": 200}
        answer = daemon.generate(model="endless", prompt="x", raw=True, options=options)
        assert answer.status in (200, 400), answer.body


def test_cve_2025_52566_a_text_of_any_length_is_tokenized(daemon: Daemon) -> None:
    text = "\u00e9\U0001f600" * 200_000
    answer = daemon.post("/api/tokenize", {"model": "tiny", "content": text})
    assert answer.status == 200
    assert len(answer.json["tokens"]) > 200_000


def test_cve_2026_44223_penalties_are_but_numbers(daemon: Daemon) -> None:
    options = FEW | {"repeat_penalty": 1.1, "presence_penalty": 2.0, "repeat_last_n": -1}
    assert daemon.generate(prompt="hi", options=options).status == 200


PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for c in ().__class__.__base__.__subclasses__() %}{{ c.__init__.__globals__ }}{% endfor %}",
    "{{ cycler.__init__.__globals__.os.popen('touch OUT').read() }}",
    "{{ self.__init__.__globals__.__builtins__.open('OUT', 'w') }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ lipsum.__globals__['os'].system('touch OUT') }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_cve_2024_34359_a_models_template_runs_nothing(
    daemon: Daemon, tmp_path: Path, payload: str
) -> None:
    """The Jinja template in a GGUF file is sandboxed (CVE-2026-41523, CVE-2025-9141 as well: what a
    model brings or says is never evaluated)."""
    out = tmp_path / "out"
    template = payload.replace("OUT", str(out))
    metadata = {"tokenizer.chat_template": template}
    daemon.add_model("hostile", tiny_llama(tmp_path / "m.gguf", metadata=metadata))
    answer = daemon.chat("hi", model="hostile", options=FEW)
    assert answer.status in (200, 400, 500)
    assert not out.exists()
    assert b"<class" not in answer.body
    assert b"built-in" not in answer.body
    daemon.request("DELETE", "/api/delete", json.dumps({"model": "hostile"}).encode())
