from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.modelfile import Command, Modelfile, ModelfileError, parse

KEYWORDS = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft", '
    '"renderer", "parser", "parameter", "message", or "requires"'
)
ROLES = 'message role must be one of "system", "user", or "assistant"'


def commands(text: str | bytes) -> list[tuple[str, ...]]:
    found = parse(text).commands
    return [(*filter(None, (item.keyword, item.argument)), item.value) for item in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM foo\n# c\nSYSTEM hi", [("from", "foo"), ("system", "hi")]),
        ("from foo", [("from", "foo")]),
        ("FROM a # c", [("from", "a # c")]),
        ('FROM foo\nSYSTEM """\na\n"""', [("from", "foo"), ("system", "\na\n")]),
        ('FROM foo\nSYSTEM "a\nb"', [("from", "foo"), ("system", "a\nb")]),
        (
            'FROM foo\nSYSTEM "foo" bar\nTEMPLATE x"',
            [("from", "foo"), ("system", 'foo" bar\nTEMPLATE x')],
        ),
        ("FROM foo\nPARAMETER num_ctx 4096", [("from", "foo"), ("parameter", "num_ctx", "4096")]),
        ("FROM foo\nPARAMETER  num_ctx 4096", [("from", "foo"), ("parameter", "num_ctx 4096")]),
        ("FROM foo\nMESSAGE user hi you", [("from", "foo"), ("message", "user", "hi you")]),
        ("\n\n  \tFROM foo  \n\n", [("from", "foo")]),
        ("FROM\tfoo\tbar", [("from", "foo\tbar")]),
        ("FROM foo\r\nSYSTEM a\r\n", [("from", "foo"), ("system", "a")]),
        ("FROM foo\rSYSTEM a", [("from", "foo"), ("system", "a")]),
        ("  # a\n#b\n#\nFROM x", [("from", "x")]),
        ('FROM x\nSYSTEM ""', [("from", "x"), ("system", "")]),
        ('FROM x\nSYSTEM """"""', [("from", "x"), ("system", "")]),
        ('FROM x\nSYSTEM """ a " b """', [("from", "x"), ("system", ' a " b ')]),
        ('FROM x\nSYSTEM """a\n\n  b""" \nPARSER p', [("from", "x"), ("system", "a\n\n  b"),
                                                     ("parser", "p")]),
        ('FROM x\nSYSTEM "\n"', [("from", "x"), ("system", "\n")]),
        ("FROM x\nSYSTEM 'a'", [("from", "x"), ("system", "'a'")]),
        ("FROM x\nSYSTEM a \\n b", [("from", "x"), ("system", "a \\n b")]),
        ('FROM x\nSYSTEM a "b"', [("from", "x"), ("system", 'a "b"')]),
        ("FROM x\nSYSTEM a\u200db\u00a0c\u3000d\u00ade\x07", [("from", "x"), ("system", "abcde")]),
        ('FROM x\nSYSTEM "a\u200d\tb\n c "', [("from", "x"), ("system", "a\tb\n c ")]),
        ("FROM x\nSYSTEM \nPARSER p", [("from", "x"), ("system", ""), ("parser", "p")]),
        ("FROM ", [("from", "")]),
    ],
)  # fmt: skip
def test_commands_are_read(text: str, expected: list[tuple[str, ...]]) -> None:
    assert commands(text) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "no FROM line"),
        ("PARAMETER x y", "no FROM line"),
        ("FROM foo\nPARAMETER num_ctx", "unexpected EOF"),
        ("FROM foo\nPARAMETER num_ctx\n", "unexpected EOF: num_ctx"),
        ("FROM foo\nPARAMETER foo-bar 1", "unexpected EOF: foo"),
        ("FROM foo\nMESSAGE user: hi", "unexpected EOF: user"),
        ("FROM\n", f"(line 2): {KEYWORDS}"),
        ("FROM", "unexpected EOF"),
        ("FROM foo\nMESSAGE badguy hi", f"(line 2): {ROLES}"),
        ("FROM foo\nMESSAGE User hi", f"(line 2): {ROLES}"),
        ("FROM foo\nMESSAGE  user hi", f"(line 2): {ROLES}"),
        ("FROM foo\nBADCOMMAND x", f"(line 2): {KEYWORDS}"),
        ("FROM foo\r\nBAD-COMMAND x", f"(line 3): {KEYWORDS}"),
        ("FROM foo\n1 x", f"(line 2): {KEYWORDS}"),
        ('FROM foo\nSYSTEM "a', "unexpected EOF"),
        ('FROM foo\nSYSTEM """a"', "unexpected EOF"),
        ('FROM foo\nSYSTEM """', "unexpected EOF"),
        ('FROM foo\nSYSTEM "', "unexpected EOF"),
        ('FROM foo\nSYSTEM "a" b\n', "unexpected EOF"),
    ],
)
def test_errors_have_their_texts(text: str, error: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse(text)
    assert str(caught.value) == error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_known(encoding: str) -> None:
    assert commands("FROM ü😀".encode(encoding)) == [("from", "ü😀")]
    assert commands(b"\xfe\xff" + "FROM ü".encode("utf-16-be")) == [("from", "ü")]
    assert commands(b"FROM a\xff") == [("from", "a\ufffd")]


LINES = st.sampled_from(
    ["FROM x", "SYSTEM", 'SYSTEM "', '"', '"""', 'a"""', "", " ", "# c", "PARAMETER a b", "MESSAGE"]
)


@given(st.text() | st.lists(LINES).map("\n".join) | st.lists(LINES).map("\r\n".join))
def test_no_text_does_worse_than_an_error(text: str) -> None:
    try:
        parse(text)
    except ModelfileError:
        return


@given(st.binary(max_size=40))
def test_no_bytes_do_worse_than_an_error(data: bytes) -> None:
    try:
        parse(b"FROM x\n" + data)
    except ModelfileError:
        return


def test_a_long_quote_takes_linear_time() -> None:
    start = time.perf_counter()
    with pytest.raises(ModelfileError):
        parse('FROM x\nSYSTEM """' + "a\n" * 300_000)
    assert time.perf_counter() - start < 10


PRINTABLE = st.text(alphabet=st.characters(codec="utf-8").filter(str.isprintable))
VALUES = (
    st.lists(PRINTABLE.filter(lambda line: '"' not in line)).map("\n".join)
    | PRINTABLE.map(lambda line: f" {line} ").filter(lambda line: '"' not in line)
    | st.lists(PRINTABLE, min_size=2).map(lambda lines: "\n".join(lines).replace('""', '"'))
)


@given(value=VALUES)
def test_what_is_printed_reads_back(value: str) -> None:
    if value.endswith('"') or value.startswith('"') or '"\n' in value:
        value = value.replace('"', "'")
    file = Modelfile(
        (
            Command("from", "x"),
            Command("system", value),
            Command("parameter", value, "stop"),
            Command("message", value, "user"),
        )
    )
    assert parse(str(file)) == file
