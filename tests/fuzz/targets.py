"""What is fuzzed of our Python: a function of some bytes each, and inputs to begin with.

A function returns, whatever it is given; what it raises is a finding. The bytes are those that a
stranger writes: a file, a body, a template, what a model says.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from engine.prompt.output.answers import ANSWERS, TOOLS, Answer, events, seen
from gguf_files import bpe_vocabulary, tiny_projector, write_gguf
from llamawire.engine.errors import InvalidArgument
from llamawire.engine.prompt import (
    JinjaPrompt,
    Limits,
    Message,
    Template,
    TemplateError,
    TemplateExecutionError,
    ToolCall,
)
from llamawire.engine.prompt.output import FORMATS
from llamawire.engine.store import (
    ConfigBlob,
    CorruptManifest,
    InvalidGguf,
    Manifest,
    gojson,
    validate_gguf,
)
from llamawire.engine.structure import Form
from llamawire.modelfile import ModelfileError, parse
from llamawire.rest.convert_chat import read_chat
from llamawire.rest.convert_generate import read_generate
from llamawire.rest.errors import RestError
from llamawire.rest.gojson import DecodeError
from llamawire.rest.openai.chat_request import read_chat_completion
from llamawire.worker.pictures import FORMATS as PICTURE_FORMATS
from llamawire.worker.pictures import BadPicture, decode_picture

__all__ = ["TARGETS", "Target"]

LIMITS = Limits(text_chars_max=1_000_000, steps_max=20_000)
MESSAGES = [
    Message("system", "Be short."),
    Message("user", "Hi {{ there }}"),
    Message("assistant", "", thinking="hm", tool_calls=(ToolCall("f", {"city": "Paris"}),)),
    Message("tool", "20", tool_name="f"),
]
DATA = {"Messages": [{"Role": "user", "Content": "Hi"}], "System": "s", "N": 3, "Tools": None,
        "L": [1, 2.5, "x", None], "M": {"a": [True]}, "Prompt": "<&>"}  # fmt: skip


@dataclass(frozen=True)
class Target:
    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: str = ""
    """What its inputs are made of, between blanks: libFuzzer's dictionary."""


def modelfile(data: bytes) -> None:
    with contextlib.suppress(ModelfileError):
        read = parse(data)
        with contextlib.suppress(ModelfileError):
            read.parameters()
        with contextlib.suppress(ModelfileError):
            assert not read.requires.startswith("v")
        str(read)


def go_template(data: bytes) -> None:
    with contextlib.suppress(TemplateError):
        template = Template.parse(data.decode(errors="replace"), LIMITS)
        with contextlib.suppress(TemplateExecutionError):
            assert len(template.execute(DATA)) <= LIMITS.text_chars_max


def jinja(data: bytes) -> None:
    with contextlib.suppress(TemplateError):
        prompt = JinjaPrompt(data.decode(errors="replace"), "<s>", "</s>", limits=LIMITS)
        assert len(prompt.render(MESSAGES)) <= LIMITS.text_chars_max


def json_schema(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        assert Form("json_schema", data.decode(errors="replace")).grammar().text


def regex(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        assert Form("regex", data.decode(errors="replace")).grammar().text


def go_json(data: bytes) -> None:
    """What is written as Go writes it is read back as the same."""
    try:
        value = json.loads(data.decode(errors="replace"))
    except (ValueError, RecursionError):
        return
    with contextlib.suppress(ValueError):
        text = go_text(go_read(go_text(value)))
        assert go_text(go_read(text)) == text


def go_text(value: object) -> bytes:
    return gojson.encode(value, sort_keys=True)


def go_read(text: bytes) -> object:
    return json.loads(text, parse_int=float)  # as Go reads every number, -0 among them


def bodies(data: bytes) -> None:
    for read in (read_generate, read_chat, read_chat_completion):
        with contextlib.suppress(DecodeError, RestError):
            read(data)


def outputs(data: bytes) -> None:
    """The first byte chooses the format, the second where the text is cut."""
    name = sorted(FORMATS)[(data[0] if data else 0) % len(FORMATS)]
    text = data[2:].decode(errors="replace")
    answer = Answer(FORMATS[name], text, (), tools=TOOLS)
    whole = seen(events(answer))
    cut = (data[1] if len(data) > 1 else 0) % (len(text) + 1)
    assert seen(events(answer, cut)) == whole
    assert seen(events(answer, *range(1, len(text)))) == whole


def pictures(data: bytes) -> None:
    with contextlib.suppress(BadPicture):
        assert decode_picture(data).shape[2] == 3


def manifests(data: bytes) -> None:
    with contextlib.suppress(CorruptManifest):
        manifest = Manifest.decode(data)
        assert Manifest.decode(manifest.encode()) == manifest
    with contextlib.suppress(CorruptManifest):
        config = ConfigBlob.decode(data)
        assert ConfigBlob.decode(config.encode()) == config


def gguf(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for role in ("model", "projector", "adapter"):
            with contextlib.suppress(InvalidGguf):
                validate_gguf(Path(file.name), role)


def texts(*seeds: str) -> Callable[[], list[bytes]]:
    return lambda: [seed.encode() for seed in seeds]


def picture_seeds() -> list[bytes]:
    seeds = []
    for format_ in PICTURE_FORMATS:
        for mode in ("RGB", "L", "P"):
            file = io.BytesIO()
            image = Image.new("RGB", (5, 4), "red").convert(mode)
            image.convert("RGB" if format_ == "JPEG" and mode == "P" else mode).save(file, format_)
            seeds.append(file.getvalue())
    return seeds


def gguf_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = bpe_vocabulary()
        tokens = vocabulary["tokenizer.ggml.tokens"]
        assert isinstance(tokens, list)
        keys: dict[str, object] = {
            "general.architecture": "llama", "general.alignment": 32, "llama.block_count": 1,
            "llama.attention.head_count": [4, 4], "llama.embedding_length": 16,
            "llama.expert_count": 0, "tokenizer.ggml.tokens": tokens[:4],
            "tokenizer.ggml.bos_token_id": 1, "llama.scores": [0.5, 1.5],
        }  # fmt: skip
        tensors = {"a": np.ones((4, 8), "float32"), "b": np.ones(3, "float16")}
        files = [
            write_gguf(Path(folder, "model"), keys, tensors),
            tiny_projector(Path(folder, "projector"), width=4, embedding=4),
        ]
        return [file.read_bytes() for file in files]


def output_seeds() -> list[bytes]:
    names = sorted(FORMATS)
    return [
        bytes([names.index(row.format.name), 3]) + row.text.encode()
        for row in ANSWERS
        if row.format.name in names
    ]


DIGEST = "sha256:" + "a" * 64
LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": DIGEST, "size": 3}
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, "b"]}, "c": {
    "type": ["array", "null"], "items": {"$ref": "#/$defs/d"}, "maxItems": 3}}, "required": ["a"],
    "additionalProperties": False, "$defs": {"d": {"anyOf": [{"type": "integer", "minimum": -5,
    "maximum": 100}, {"type": "string", "pattern": "^a+$"}]}}}  # fmt: skip
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi", "images": ["aGk="]}, {
    "role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}],
    "format": SCHEMA, "options": {"num_ctx": 5, "stop": ["x"], "temperature": 0.5}, "think": "low",
    "keep_alive": "5m", "stream": False, "tools": [{"type": "function", "function": {"name": "f",
    "parameters": SCHEMA}}], "logprobs": True, "timeout": 1.5}  # fmt: skip

TARGETS = {
    "modelfile": Target(
        modelfile,
        texts(
            'FROM tiny\nPARAMETER stop "x"\nPARAMETER num_ctx 5\nMESSAGE user hi\n# note\n',
            'FROM ./a.gguf\nSYSTEM """\nBe "short".\n"""\nTEMPLATE {{ .Prompt }}\nREQUIRES 0.1.0\n',
            "\ufefffrom x\r\nlicense l\r\n",
        ),
        'FROM PARAMETER MESSAGE SYSTEM TEMPLATE LICENSE ADAPTER """ " user stop temperature 0.5',
    ),
    "go_template": Target(
        go_template,
        texts(
            "{{- range $i, $m := .Messages }}{{ $m.Role }}: {{ .Content | len }}{{ end -}}",
            '{{ if and .System (gt (len .L) 2) }}{{ json .M }}{{ else }}{{ index .L 0 }}{{ end }}',
            '{{ define "x" }}{{ slice .Prompt 1 }}{{ end }}{{ template "x" . }}{{/* c */}}',
        ),
        "{{ }} {{- -}} if else end range with $x := = . .N .L .M .Messages ( ) | len index slice "
        'print printf "%s" eq and or not -2 0x1p-2 nil true break continue define template block',
    ),
    "jinja": Target(
        jinja,
        texts(
            "{%- for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}",
            "{% macro f(x, n=1) %}{{ x ~ n }}{% endmacro %}{% set ns = namespace(a=[]) %}"
            "{{ f('a') }}{% if tools is defined and not ns.a %}{{ messages | tojson }}{% endif %}",
            "{{ strftime_now('%d') }}{{ range(5) | join(', ') }}{{ 'a'.split('b')[-1][::-1] }}",
        ),
        "{{ }} {% %} {%- -%} if else endif for in endfor set x = == + * ~ % ** messages loop ( ) : "
        ". | length join 'a' 1 -2 macro endmacro endset true none range not and text recursive",
    ),
    "json_schema": Target(
        json_schema,
        lambda: [
            json.dumps(SCHEMA).encode(),
            json.dumps({"oneOf": [{"const": 1}, {"type": "null"}], "title": "t"}).encode(),
            b'{"allOf":[{"type":"object","properties":{"a":true}},{"required":["b"]}]}',
            b'{"type":"string","format":"date-time","minLength":2,"maxLength":9}',
            b'{"type":"array","prefixItems":[{}],"items":false,"minItems":1}',
        ],
        '"type" "object" "properties" "required" "enum" "const" "anyOf" "oneOf" "allOf" "$ref" '
        '"#/$defs/d" "$defs" "items" "prefixItems" "minItems" "maxItems" "pattern" "format" "not" '
        '"minimum" "exclusiveMaximum" "multipleOf" "additionalProperties" "minLength" 1e999 true',
    ),
    "regex": Target(
        regex,
        texts(r"^[a-z]+\d{2,3}(x|yz?)*$", r"(?:\w\s[^\n])\u00e9.", r"a{0,100}?[\]\-]\x41$"),
        r"(?: (?= (?<n> [^ ] {2,} \d \w \b \p{L} \1 *? ++ ^ $ | \u{1F600} \Q [[:alpha:]]",
    ),
    "go_json": Target(
        go_json,
        texts('{"a":[1,1.0,1e21,1e-7,-0.0,"\\ud800<&>\\u2028"],"b":{"é":null}}', "[[[]]]", "1e400"),
    ),
    "bodies": Target(
        bodies,
        lambda: [
            json.dumps(CHAT).encode(),
            json.dumps({"model": "m", "prompt": "x", "context": [1], "raw": True, "top_logprobs": 2,
                        "suffix": "s", "images": [], "options": {"seed": 1}}).encode(),
            json.dumps({"model": "m", "max_tokens": 3, "stop": "x", "reasoning": {"effort": "low"},
                        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
                        "stream_options": {"include_usage": True}, "response_format": {
                        "type": "json_schema", "json_schema": {"schema": SCHEMA}}}).encode(),
        ],
        '"MODEL" "messages" "content" "image_url" "data:image/png;base64,aGk=" null "\\ud800"',
    ),
    "outputs": Target(
        outputs,
        output_seeds,
        "<think> </think> <tool_call> </tool_call> [TOOL_CALLS] [ARGS] <|channel|> <|message|> "
        '<|call|> <|python_tag|> <function= <parameter= </parameter> {"name": "arguments": get( '
        "```tool_code call: <channel|> get_weather city \ufdd0 \ufdd1",
    ),
    "pictures": Target(pictures, picture_seeds),
    "manifests": Target(
        manifests,
        lambda: [
            json.dumps({"schemaVersion": 2, "config": LAYER, "layers": [LAYER, LAYER]}).encode(),
            b'{"model_format":"gguf","model_families":["a"],"context_length":5,"capabilities":[]}',
        ],
        f'"config" "layers" "digest" "size" "mediaType" "from" "{DIGEST}" "context_length" null',
    ),
    "gguf": Target(gguf, gguf_seeds, "GGUF general.architecture clip.has_vision_encoder llama"),
}  # fmt: skip
