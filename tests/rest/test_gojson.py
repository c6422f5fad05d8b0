"""Bodies as Go decodes them: what is accepted, and every word about what is not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.rest import gojson
from llamawire.rest.convert import read_create
from llamawire.rest.convert_generate import read_generate
from llamawire.rest.durations import parse_duration
from llamawire.rest.goscan import DEPTH_MAX, scan
from llamawire.rest.gotext import quote, quote_byte, unquote_json


def error_of(body: bytes) -> str:
    with pytest.raises(gojson.DecodeError) as caught:
        read_generate(body)
    return str(caught.value)


def looking(char: str, where: str) -> str:
    return f"invalid character {char} {where}"


VALUE = "looking for beginning of value"
KEY = "looking for beginning of object key string"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "missing request body"),
        (b" \t\r\n", "missing request body"),
        (b"{", "unexpected EOF"),
        (b'{"a', "unexpected EOF"),
        (b'{"a"', "unexpected EOF"),
        (b'{"a":', "unexpected EOF"),
        (b'{"a":1', "unexpected EOF"),
        (b'{"a":1,', "unexpected EOF"),
        (b'{"a":-', "unexpected EOF"),
        (b'{"a":1.', "unexpected EOF"),
        (b'{"a":1e', "unexpected EOF"),
        (b'{"a":1e+', "unexpected EOF"),
        (b'{"a":tru', "unexpected EOF"),
        (b'{"a":"\\', "unexpected EOF"),
        (b'{"a":"\\u00', "unexpected EOF"),
        (b"[[", "unexpected EOF"),
        (b"xyz", looking("'x'", VALUE)),
        (b"}", looking("'}'", VALUE)),
        (b"\xef\xbb\xbf{}", looking("'ï'", VALUE)),
        (b"\x1f\x8b\x08", looking(r"'\x1f'", VALUE)),
        (b'{"a":}', looking("'}'", VALUE)),
        (b"[1,]", looking("']'", VALUE)),
        (b'{"a":+1}', looking("'+'", VALUE)),
        (b'{"a":1,}', looking("'}'", KEY)),
        (b"{'a':1}", looking(r"'\''", KEY)),
        (b"{a:1}", looking("'a'", KEY)),
        (b'{"a" 1}', looking("'1'", "after object key")),
        (b'{"a":1 "b":2}', looking("'\"'", "after object key:value pair")),
        (b'{"a":01}', looking("'1'", "after object key:value pair")),
        (b'{"a":[1 2]}', looking("'2'", "after array element")),
        (b'{"a":"x\ny"}', looking(r"'\n'", "in string literal")),
        (b'{"a":"\x00"}', looking(r"'\x00'", "in string literal")),
        (b'{"a":"\\x"}', looking("'x'", "in string escape code")),
        (b'{"a":"\\u12x4"}', looking("'x'", r"in \u hexadecimal character escape")),
        (b'{"a":-x}', looking("'x'", "in numeric literal")),
        (b'{"a":1.x}', looking("'x'", "after decimal point in numeric literal")),
        (b'{"a":1ex}', looking("'x'", "in exponent of numeric literal")),
        (b'{"a":trux}', looking("'x'", "in literal true (expecting 'e')")),
        (b'{"a":nil}', looking("'i'", "in literal null (expecting 'u')")),
        (b'{"a":falsy}', looking("'y'", "in literal false (expecting 'e')")),
        (b"[" * 10_001, looking("'['", "exceeded max depth")),
        (b'{"a":' * 10_001, looking("'{'", "exceeded max depth")),
    ],
)
def test_syntax_errors(body: bytes, text: str) -> None:
    assert error_of(body) == text


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[]", "array"), (b'"x"', "string"), (b"1", "number"), (b"-1.5e3 x", "number"),
     (b"true", "bool")],
)  # fmt: skip
def test_a_body_must_be_an_object(body: bytes, kind: str) -> None:
    assert error_of(body) == (
        f"json: cannot unmarshal {kind} into Go value of type api.GenerateRequest"
    )


@pytest.mark.parametrize(
    ("body", "kind", "field", "go_type"),
    [
        (b'{"model":1}', "number", "model", "string"),
        (b'{"MODEL":[]}', "array", "model", "string"),
        (b'{"prompt":{}}', "object", "prompt", "string"),
        (b'{"system":true}', "bool", "system", "string"),
        (b'{"template":1.5}', "number", "template", "string"),
        (b'{"suffix":1}', "number", "suffix", "string"),
        (b'{"stream":"x"}', "string", "stream", "bool"),
        (b'{"raw":1}', "number", "raw", "bool"),
        (b'{"truncate":"x"}', "string", "truncate", "bool"),
        (b'{"shift":"x"}', "string", "shift", "bool"),
        (b'{"logprobs":"x"}', "string", "logprobs", "bool"),
        (b'{"_debug_render_only":"x"}', "string", "_debug_render_only", "bool"),
        (b'{"top_logprobs":"x"}', "string", "top_logprobs", "int"),
        (b'{"top_logprobs":1.0}', "number 1.0", "top_logprobs", "int"),
        (b'{"top_logprobs":1e1}', "number 1e1", "top_logprobs", "int"),
        (b'{"top_logprobs":9223372036854775808}', "number 9223372036854775808",
         "top_logprobs", "int"),
        (b'{"context":"x"}', "string", "context", "[]int"),
        (b'{"context":[1,"x"]}', "string", "context", "int"),
        (b'{"context":[1,2.0]}', "number 2.0", "context", "int"),
        (b'{"images":"x"}', "string", "images", "[]api.ImageData"),
        (b'{"images":[1]}', "number", "images", "api.ImageData"),
        (b'{"options":[]}', "array", "options", "map[string]interface {}"),
        (b'{"options":{"top_p":1e400}}', "number 1e400", "options", "float64"),
    ],
)  # fmt: skip
def test_type_mismatches(body: bytes, kind: str, field: str, go_type: str) -> None:
    assert error_of(body) == (
        f"json: cannot unmarshal {kind} into Go struct field "
        f"GenerateRequest.{field} of type {go_type}"
    )


BOOL_OR_STRING = (
    'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'
)


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ('"images":["YQ"]', "illegal base64 data at input byte 0"),
        ('"images":["YWJjYQ"]', "illegal base64 data at input byte 4"),
        ('"images":["data:image/png;base64,YQ=="]', "illegal base64 data at input byte 4"),
        ('"images":["YQ="]', "illegal base64 data at input byte 3"),
        ('"images":["YQ==x"]', "illegal base64 data at input byte 4"),
        ('"images":["Y==="]', "illegal base64 data at input byte 1"),
        ('"images":["YQ=x"]', "illegal base64 data at input byte 2"),
        ('"images":["-_=="]', "illegal base64 data at input byte 0"),
        ('"keep_alive":"abc"', 'time: invalid duration "abc"'),
        ('"keep_alive":"5"', 'time: missing unit in duration "5"'),
        ('"keep_alive":"5x"', 'time: unknown unit "x" in duration "5x"'),
        ('"keep_alive":""', 'time: invalid duration ""'),
        ('"keep_alive":"."', 'time: invalid duration "."'),
        ('"keep_alive":"é"', r'time: invalid duration "\xc3\xa9"'),
        ('"keep_alive":"9999999h"', 'time: invalid duration "9999999h"'),
        ('"keep_alive":true', "Unsupported type: 'bool'"),
        ('"keep_alive":[]', "Unsupported type: '[]interface {}'"),
        ('"keep_alive":{}', "Unsupported type: 'map[string]interface {}'"),
        ('"timeout":"abc"', 'timeout: time: invalid duration "abc"'),
        ('"think":"maybe"',
         'invalid think value: "maybe" (must be "high", "medium", "low", "max", true, or false)'),
        ('"think":1', BOOL_OR_STRING),
        ('"think":[]', BOOL_OR_STRING),
        ('"think":{}', BOOL_OR_STRING),
        ('"context":[2147483648]', "context holds 2147483648, which is no token id"),
        # A decoder of its own stops at once; other mismatches wait for the end.
        ('"model":1,"keep_alive":""', 'time: invalid duration ""'),
        ('"images":["YQ"],"model":1', "illegal base64 data at input byte 0"),
    ],
)  # fmt: skip
def test_other_decode_errors(member: str, text: str) -> None:
    assert error_of(f"{{{member}}}".encode()) == text


def test_newlines_in_base64_are_skipped() -> None:
    assert read_generate(rb'{"images":["Y\nQ\r\n==\n",null,""]}').images == [b"a", b"", b""]


def test_keys_in_any_case_and_the_last_one_wins() -> None:
    assert read_generate(b'{"MODEL":"a"}').model == "a"
    assert read_generate(b'{"model":"a","model":"b"}').model == "b"
    assert read_generate(b'{"model":"a","MODEL":"b","model":"c"}').model == "c"
    assert read_generate(b'{"model":"a","Model":"b"}').model == "b"
    assert read_generate(b'{"model":"a","Model":null}').model == "a"
    assert read_generate('{"\u017fy\u017ftem":"a"}'.encode()).system == "a"


def test_only_the_first_value_is_read() -> None:
    assert read_generate(b' {"model":"a"} x').model == "a"
    assert read_generate(b'{"model":"a"}{"model":1}').model == "a"
    assert read_generate(b"null").model == ""
    assert read_generate(b'{"unknown":{"a":[1e999]},"model":"a"}').model == "a"


def test_lone_surrogates_and_bytes_that_are_no_text() -> None:
    assert read_generate(rb'{"prompt":"a\ud800b\udc00\ud83d\ude00"}').prompt == "a\ufffdb\ufffd😀"
    assert read_generate(b'{"prompt":"a\xffb\xe2\x82"}').prompt == "a\ufffdb\ufffd\ufffd"
    assert read_generate(b'{"context":[1,2],"\xff":1}').context == [1, 2]
    assert read_generate(rb'{"x":"\ud800","context":[1,2],"options":{"stop":["\ud800"]}}').context


def test_depth_does_not_matter_up_to_its_limit() -> None:
    deep = b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1)
    assert read_generate(b'{"x":' + deep + b',"model":"a"}').model == "a"
    assert read_generate(b'{"options":{"x":' + deep[1:-1] + b"}}").options.error is None


def test_a_large_list_with_a_surrogate_takes_linear_time() -> None:
    body = b'{"context":[' + b"1," * 100_000 + b'1],"x":"\\ud800"}'
    assert len(read_generate(body).context or []) == 100_001
    stop = b'{"options":{"stop":[' + b'"\\ud800",' * 20_000 + b'"a"]}}'
    assert len(read_generate(stop).options.options.stop.values) == 20_001


def test_create_names_the_path_of_a_mismatch() -> None:
    for body, text in (
        (
            b'{"messages":[{"role":1}]}',
            "number into Go struct field CreateRequest.messages.role of",
        ),
        (
            b'{"messages":[1]}',
            "number into Go struct field CreateRequest.messages of type api.Alias",
        ),
        (
            b'{"files":[]}',
            "array into Go struct field CreateRequest.files of type map[string]string",
        ),
        (b'{"files":{"a":1}}', "number into Go struct field CreateRequest.files of type string"),
    ):
        with pytest.raises(gojson.DecodeError, match="json: cannot unmarshal") as caught:
            read_create(body)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0", 0), ("-0", 0), ("5m", 300 * 10**9), ("1h30m", 5400 * 10**9), ("300ms", 300 * 10**6),
     ("1.5h", 5400 * 10**9), (".5s", 5 * 10**8), ("1.s", 10**9), ("1us2µs3μs", 6000), ("7ns", 7),
     ("-1m", -60 * 10**9), ("+2s", 2 * 10**9)],
)  # fmt: skip
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("written", "ns"),
    [("5", 5 * 10**9), ("0.25", 25 * 10**7), ("-1", -1), ("-0.5", -1), ('"-1m"', -1), ("0", 0),
     ("1e300", (1 << 63) - 1), ("null", None)],
)  # fmt: skip
def test_keep_alive(written: str, ns: int | None) -> None:
    assert read_generate(f'{{"keep_alive":{written}}}'.encode()).keep_alive_ns == ns


@pytest.mark.parametrize(
    ("text", "quoted"),
    [('a"b', r'"a\"b"'), ("a\\\n\x00\x7f", r'"a\\\n\x00\x7f"'), ("é😀", '"é😀"'),
     ("\u200b\U000e0001", r'"\u200b\U000e0001"')],
)  # fmt: skip
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert quote_byte(ord("'")) == r"'\''"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON), st.booleans())
def test_the_two_ways_agree_with_the_standard_library(value: dict[str, Any], plain: bool) -> None:
    body = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    start, end, members = scan(body)
    assert (start, end) == (0, len(body))
    clean = json.loads(body.decode("utf-8", "llamawire.byte"))
    found = {key: json.loads(raw.decode("utf-8", "llamawire.byte")) for key, raw in members}
    if not any("\ud800" <= char <= "\udfff" for key in value for char in key):
        assert found == clean
        assert [key for key, _ in gojson.members(body)] == list(clean)


@given(st.text())
def test_text_comes_back(text: str) -> None:
    clean = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert gojson.string(json.dumps(text).encode()) == clean
    assert unquote_json(json.dumps(text).encode()) == clean
    assert json.loads(gojson.encode(clean)) == clean


PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b'"prompt"', b'"options"', b'"context"',
     b'"images"', b'"keep_alive"', b'"stop"', b"1", b"-", b".", b"e9", b"0", b"true", b"nul",
     b"null", b"\\", b"\\u", b"\\ud800", b"\xff", b"\xe2\x80\xa8", b"\n", b"\x00", b" ", b"=="],
)  # fmt: skip


@given(st.lists(PIECES).map(b"".join) | st.binary() | st.lists(PIECES).map(
    lambda pieces: b'{"prompt":' + b"".join(pieces) + b"}"))  # fmt: skip
def test_hostile_bodies_raise_nothing_but_decode_errors(body: bytes) -> None:
    for read in (read_generate, read_create):
        with suppress(gojson.DecodeError):
            read(body)


@given(st.lists(PIECES).map(b"".join))
def test_the_fast_way_accepts_nothing_that_the_slow_way_refuses(body: bytes) -> None:
    try:
        gojson._MEMBERS.decode(body)
    except (ValueError, RecursionError, gojson.msgspec.MsgspecError):
        return
    scan(body)
