"""Bad input, made from good: whatever a request contains, the answer says what is wrong with it.

No answer is a mistake of ours, no worker dies, nothing hangs. A few hundred requests here;
LLAMAWIRE_FUZZ=20000 (`make fuzz ONLY=requests`) sends so many and others each time.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.daemon import Answer, Daemon
from e2e.test_grpc import error_info
from gguf_files import tiny_bert
from llamawire.v1 import (
    chat_pb2,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    generation_pb2,
    generation_service_pb2,
    generation_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    options_pb2,
)

EXAMPLES = int(os.environ.get("LLAMAWIRE_FUZZ", "200"))
ANSWER_TIMEOUT_S = 30.0

pytestmark = pytest.mark.timeout(max(120, EXAMPLES))

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize="LLAMAWIRE_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# What Ollama answers with 500, though the client is to blame (spec §2.2, §4.2, §5.3, §9).
BLAMED_500 = re.compile(
    r'option "|template: |does not support|'
    r"invalid format: |pull model manifest|push|max retries|no such host|unqualified name|"
    r"manifests/.*: no such file or directory|unsupported quantization type"
)


# Texts of Ollama's that do not say their field's name, and the field.
OLLAMA_SAYS = [
    (re.compile(pattern), field)
    for pattern, field in (
        (r"^time: |^Unsupported type: |into Go value of type float64$", "keep_alive"),
        (r"^invalid message format$|^invalid message content type", "content"),
        (r"^name \".*\" is invalid$|^unqualified name|^open .*: no such file", "model"),
        (r"^model .* not found", "source"),
        (r"^invalid model name$", "from"),
        (r"^unsupported quantization type", "quantize"),
        (r"^Value looks like object", "arguments"),
        (r"^Value looks like object", "properties"),
        # Anthropic's name of the option.
        (r'^option "stop"', "stop_sequences"),
        # Of a schema that refers to itself.
        (r"^grammar: ", "format"),
        # Where the registry is that the model's name speaks of, and how it is reached.
        (r"^pull model manifest|^max retries", "insecure"),
        (r"^pull model manifest|^max retries", "model"),
    )
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon of its own: requests may make any model, one called `tiny` too."""
    daemon = Daemon(tmp_path_factory.mktemp("fuzz"))
    daemon.add_model("vectors", tiny_bert(tmp_path_factory.mktemp("files") / "vectors.gguf"))
    yield daemon
    daemon.add_endless_model()
    answer = daemon.generate(model="endless", prompt="Hi", options={"num_predict": 2})
    assert answer.status == 200, answer.body
    assert daemon.stop() == 0
    log = daemon.log.read_text()
    assert "a mistake of ours" not in log, log[log.index("a mistake of ours") :][:3000]
    assert " died with " not in log, log[log.index(" died with ") - 500 :][:3000]


# ---- REST ----------------------------------------------------------------------------------------

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": CITY}}
CALL = {"id": "c", "function": {"name": "f", "arguments": {"city": "Paris"}}}
OPENAI_CALL = {"id": "c", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
MESSAGES = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hi", "images": []},
    {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [CALL]},
    {"role": "tool", "content": "20", "tool_name": "f", "tool_call_id": "c"},
]
OPTIONS = {
    "num_predict": 3, "temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7,
    "seed": 1, "stop": ["x", "yz"], "repeat_last_n": 8, "repeat_penalty": 1.1,
    "presence_penalty": 0.1, "frequency_penalty": 0.1, "num_keep": 2, "num_ctx": 256,
    "num_batch": 16,
}  # fmt: skip
COMMON = {
    "model": "tiny", "stream": False, "options": OPTIONS, "keep_alive": "5m", "timeout": 2,
    "truncate": True, "shift": True, "logprobs": True, "top_logprobs": 2,
}  # fmt: skip
FORM = {"type": "object", "properties": {"a": {"enum": [1, "b"]}, "c": {"type": ["array", "null"],
        "items": {"$ref": "#/$defs/d"}}}, "required": ["a"], "$defs": {"d": {"anyOf": [
        {"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^a+$"}]}}}  # fmt: skip
OPENAI = {"model": "tiny", "stream": False, "max_tokens": 3, "temperature": 0.1, "seed": 1,
          "stop": "x", "stream_options": {"include_usage": True}}  # fmt: skip
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/generate", {**COMMON, "prompt": "Hi", "system": "s", "template": "{{ .Prompt }}",
                               "context": [1, 2]}),
    ("POST", "/api/generate", {**COMMON, "prompt": "Hi", "raw": True, "suffix": "x"}),
    ("POST", "/api/generate", {**COMMON, "prompt": "Hi", "format": FORM}),
    ("POST", "/api/chat", {**COMMON, "messages": MESSAGES, "tools": [TOOL], "think": False}),
    ("POST", "/api/chat", {**COMMON, "messages": MESSAGES[:2], "format": "json", "think": "high",
                           "thinking_token_budget": 3}),
    ("POST", "/api/tokenize", {"model": "tiny", "content": "Hi", "add_special": True}),
    ("POST", "/api/detokenize", {"model": "tiny", "tokens": [1, 2, 3]}),
    ("POST", "/api/embed", {"model": "vectors", "input": ["the cat", "sat"], "truncate": True,
                            "dimensions": 3, "options": {"num_ctx": 64}, "keep_alive": 300}),
    ("POST", "/api/embeddings", {"model": "vectors", "prompt": "the cat"}),
    ("POST", "/api/rerank", {"model": "tiny", "query": "q", "documents": ["a", "b"], "top_n": 1}),
    ("POST", "/api/show", {"model": "tiny", "verbose": True, "system": "s",
                           "options": {"num_ctx": 5}}),
    ("POST", "/api/copy", {"source": "tiny", "destination": "copied"}),
    ("DELETE", "/api/delete", {"model": "copied"}),
    ("POST", "/api/create", {"model": "made", "from": "tiny", "stream": False, "system": "s",
                             "template": "{{ .Prompt }}", "license": ["l"], "parameters": OPTIONS,
                             "messages": MESSAGES[:2], "quantize": "", "files": {}}),
    ("POST", "/api/pull", {"model": "127.0.0.1:1/a/b", "insecure": True, "stream": False}),
    ("POST", "/api/push", {"model": "127.0.0.1:1/a/b", "insecure": True, "stream": False}),
    ("POST", "/v1/chat/completions", {
        **OPENAI, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": "x", "reasoning": "r", "tool_calls": [OPENAI_CALL]},
            {"role": "tool", "content": "1", "name": "f", "tool_call_id": "c"}],
        "tools": [TOOL], "reasoning": {"effort": "none"}, "logprobs": True, "top_logprobs": 2,
        "response_format": {"type": "json_schema", "json_schema": {"schema": FORM}}}),
    ("POST", "/v1/responses", {
        "model": "tiny", "stream": False, "max_output_tokens": 3, "temperature": 0.1, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "reasoning", "encrypted_content": "r"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"city":"x"}'},
            {"type": "function_call_output", "call_id": "c", "output": "1"}],
        "instructions": "i", "truncation": "auto", "background": False,
        "tools": [{"type": "function", "strict": True, **TOOL["function"]},
                  {"type": "namespace", "name": "n", "tools": [{"type": "function"}]}],
        "reasoning": {"effort": "none"}, "text": {"format": {
            "type": "json_schema", "schema": FORM}}}),
    ("POST", "/v1/messages", {
        "model": "tiny", "stream": False, "max_tokens": 3, "temperature": 0.1, "top_p": 0.9,
        "top_k": 5, "stop_sequences": ["x"], "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "r"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"city": "x"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": "1"}]}],
        "tools": [{"name": "f", "input_schema": FORM}], "thinking": {
            "type": "enabled", "budget_tokens": 1}, "output_config": {"effort": "low"}}),
    ("POST", "/v1/completions", {**OPENAI, "prompt": "Hi", "suffix": "", "logprobs": 2}),
    ("POST", "/v1/embeddings", {"model": "vectors", "input": ["the"], "dimensions": 2,
                                "encoding_format": "base64"}),
    ("POST", "/v1/rerank", {"model": "tiny", "query": "q", "documents": ["a", "b"], "top_n": 1}),
]  # fmt: skip


def nested(levels: int, *, inside: object = 1) -> object:
    value = inside
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


STRANGE: list[object] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e-320, 2**31, -(2**31) - 1, 2**32, 2**63, 2**64,
    10**400, float("inf"), float("nan"), "", " ", "x", "\0", "\ud800", "\U0010ffff",
    "\ufdd0a\ufdd1",
    "é" * 10_000, "{{", "{{ .Nope.x }}", "{{ range .Messages }}", "%s", "../../x", "a" * 300, "1s",
    "-5m", "9" * 50 + "h", "sha256:" + "0" * 64, [], {}, [None], [[]], [{}], {"": None},
    {"a" * 1000: 1}, [1] * 5000, ["x"] * 3000, {"type": "object"}, {"$ref": "#"}, "json", "tiny",
]  # fmt: skip
leaves = st.one_of(
    st.sampled_from(STRANGE),
    st.sampled_from(STRANGE),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.builds(nested, st.sampled_from([3, 50, 200, 900, 4000])),
)


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*path, index))


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


@st.composite
def bodies(draw: Callable[..., Any], good: dict[str, Any]) -> tuple[bytes, set[str] | None]:
    """The text of a good body with one to three places that are strange, and their names.

    No names: it is no object any more, or something in the text was damaged.
    """
    body: Any = copy.deepcopy(good)
    names: set[str] | None = set()
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(body))))
        strange = Raw(json_text(draw(leaves)).decode())
        body = replaced(body, path, strange)
        named = {part for part in path if isinstance(part, str)}
        is_json = path and strange.text != "NaN"
        names = names | named if names is not None and is_json else None
    text = json_text(body)
    if draw(st.integers(0, 19)) == 0:  # cut, or with something in the middle
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.binary(max_size=5)) + text[place + draw(st.integers(0, 9)) :]
        names = None
    return text, names


def json_text(value: object) -> bytes:
    """Without recursion, which deep values would exhaust."""
    parts: list[str] = []
    todo: list[object] = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Raw):
            parts.append(one.text)
        elif isinstance(one, dict):
            inner: list[object] = [Raw("{")]
            for index, (key, each) in enumerate(one.items()):
                inner += [Raw(("," if index else "") + json.dumps(key) + ":"), each]
            todo.extend(reversed([*inner, Raw("}")]))
        elif isinstance(one, list):
            items: list[object] = [Raw("[")]
            for index, each in enumerate(one):
                items += [Raw("," if index else ""), each]
            todo.extend(reversed([*items, Raw("]")]))
        elif isinstance(one, float) and one in (float("inf"), -float("inf")):
            parts.append("1e999")
        else:
            parts.append(json.dumps(one))
    return "".join(parts).encode()


class Raw:
    def __init__(self, text: str) -> None:
        self.text = text


@fuzzed
@given(data=st.data())
def test_rest_answers_whatever_it_is_sent(server: Daemon, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(REQUESTS) - 1))
    method, path, good = REQUESTS[index]
    body, names = data.draw(bodies(good))
    if b'"cloud' in body or b":cloud" in body:
        return
    answer = server.request(method, path, body)
    if answer.status < 400:
        return
    text = error_text(answer)
    assert text
    assert answer.status < 500 or BLAMED_500.search(text), (path, body[:2000], answer.body[:500])
    if names is not None and text != refusal_of_the_good(server, index):
        assert is_named(text, names), (path, body[:2000], names, text[:500])


@functools.cache
def refusal_of_the_good(server: Daemon, index: int) -> str:
    """What is said of a good request that this model cannot serve; empty if it can."""
    method, path, good = REQUESTS[index]
    answer = server.request(method, path, good)
    return error_text(answer) if answer.status >= 400 else ""


def error_text(answer: Answer) -> str:
    error = answer.json["error"]
    return str(error["message"] if isinstance(error, dict) else error)


def is_named(text: str, names: set[str]) -> bool:
    """The text has the name of one of these fields, or is known to be about it."""
    return any(name in text for name in names) or any(
        pattern.search(text) for pattern, field in OLLAMA_SAYS if field in names
    )


# ---- gRPC ----------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2, 3, 7, 20, 64, 300, 2**31 - 1, -(2**31)]
WIDE = [*NUMBERS, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 1e-38, 3e38, float("inf"), -float("inf"), float("nan")]
TEXTS = ["", "tiny", "vectors", "x", " ", "a b", "\0", "é" * 3000, "{{ .Nope }}", "{{", "json",
         "low",
         '{"type":"object"}', '{"type":"integer"}', "[", 'root ::= "a" root | "b"', "root ::= root",
         "(a+)+b", "(?=x)", "user", "system", "q4_0", "../x", "sha256:" + "0" * 64, "{" * 5000,
         '{"a":' * 900, "((" * 400]  # fmt: skip


@st.composite
def messages(draw: Callable[..., Any], kind: type[Message], depth: int = 0) -> Message:
    """A message of which some fields are set, to values of all kinds."""
    message = kind()
    fields = list(kind.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=5, unique=True) if fields
                      else st.just([])):  # fmt: skip
        fill(draw, message, field, depth)
    return message


def fill(draw: Callable[..., Any], message: Message, field: FieldDescriptor, depth: int) -> None:
    kind = field.message_type
    if kind is None:
        value = draw(scalars(field))
        if field.is_repeated:
            getattr(message, field.name).extend([value] * draw(st.sampled_from([1, 2, 50])))
        else:
            setattr(message, field.name, value)
    elif kind.full_name == "google.protobuf.Struct":
        getattr(message, field.name).CopyFrom(struct(draw(st.sampled_from([0, 2, 20]))))
    elif kind.GetOptions().map_entry:
        value_type = kind.fields_by_name["value"].message_type
        target = getattr(message, field.name)
        key = draw(st.sampled_from(TEXTS))
        if value_type is None:
            target[key] = draw(scalars(kind.fields_by_name["value"]))
        else:
            target[key].CopyFrom(draw(messages(target.GetEntryClass, depth + 1)))
    elif depth < 3:
        target = getattr(message, field.name)
        one = target.add() if field.is_repeated else target
        one.CopyFrom(draw(messages(type(one), depth + 1)))
        if not field.is_repeated:
            one.SetInParent()


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.type
    if kind == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.TYPE_STRING:
        return st.sampled_from(TEXTS)
    if kind == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if kind in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return st.sampled_from(FLOATS)
    if kind == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from([0, 1, 99])
    if kind in (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64):
        return st.sampled_from(WIDE)
    if kind in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64):
        return st.sampled_from([0, 1, 2**32 - 1])
    return st.sampled_from(NUMBERS)


def struct(depth: int) -> struct_pb2.Struct:
    """Deeper ones than protobuf reads (100 messages) are refused by grpc, before our code."""
    value = struct_pb2.Struct()
    inner = value
    for _ in range(depth):
        inner = inner.fields["a"].struct_value
    inner.fields["x"].number_value = float("nan")
    return value


def seed(message: Message) -> None:
    """Makes it a request that is served, where nothing else was drawn, and soon ends."""
    names = message.DESCRIPTOR.fields_by_name
    if "model" in names and not getattr(message, "model"):  # noqa: B009
        setattr(message, "model", "vectors" if "input" in str(names) else "tiny")  # noqa: B010
    if "timeout" in names and not message.HasField("timeout"):
        getattr(message, "timeout").FromSeconds(2)  # noqa: B009
    options = names.get("options")
    if options is not None and options.message_type is options_pb2.Options.DESCRIPTOR:
        given = getattr(message, "options")  # noqa: B009
        given.num_predict = given.num_predict if given.HasField("num_predict") else 3


CALLS: list[tuple[Any, str, type[Message]]] = [
    (generation_service_pb2_grpc.GenerationServiceStub, "Generate", generation_pb2.GenerateRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Generate", generation_pb2.GenerateRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Chat", chat_pb2.ChatRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Chat", chat_pb2.ChatRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Render",
     generation_service_pb2.RenderRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Tokenize",
     generation_service_pb2.TokenizeRequest),
    (generation_service_pb2_grpc.GenerationServiceStub, "Detokenize",
     generation_service_pb2.DetokenizeRequest),
    (embedding_service_pb2_grpc.EmbeddingServiceStub, "Embed", embedding_service_pb2.EmbedRequest),
    (embedding_service_pb2_grpc.EmbeddingServiceStub, "Rerank",
     embedding_service_pb2.RerankRequest),
    *(
        (model_service_pb2_grpc.ModelServiceStub, name,
         getattr(model_service_pb2, f"{name}Request"))
        for name in ("ListModels", "GetModel", "CreateModel", "CopyModel", "HasBlob", "ShowModel",
                     "ListLoaded", "Load", "Unload")
    ),
]  # fmt: skip


@fuzzed
@given(data=st.data())
def test_grpc_answers_whatever_it_is_sent(server: Daemon, data: st.DataObject) -> None:
    service, name, kind = data.draw(st.sampled_from(CALLS))
    request = data.draw(messages(kind))
    seed(request)
    failure = failure_of(server, service, name, request)
    if failure is None:
        return
    assert failure.code() not in MISTAKES, (name, request, failure.details())
    assert failure.details()
    info = error_info(failure)
    assert info.reason in REASONS
    if info.reason == "INVALID_ARGUMENT":
        first = re.split(r"[.\[]", info.metadata["field"])[0]
        assert first in places_of(request), (name, request, failure.details(), info)
        assert first.rstrip("s") in failure.details()


REASONS = frozenset(
    re.findall(
        r"^\| `([A-Z_]+)` \|",
        (Path(__file__).parents[2] / "docs" / "errors.md").read_text(),
        re.MULTILINE,
    )
)


def places_of(request: Message) -> set[str]:
    """The names of its fields, and of those of the request in it (Render has one)."""
    names = set(request.DESCRIPTOR.fields_by_name)
    for field in request.DESCRIPTOR.fields:
        if field.message_type is not None:
            names |= set(field.message_type.fields_by_name)
    return names


MISTAKES = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


def failure_of(server: Daemon, service: Any, name: str, request: Message) -> Any:
    """The status of a call that fails, None for one that does not."""
    try:
        with server.channel() as channel:
            reply = getattr(service(channel), name)(request, timeout=ANSWER_TIMEOUT_S)
            if hasattr(reply, "__next__"):
                list(reply)
    except grpc.RpcError as error:
        return error
    return None
