from __future__ import annotations

import pytest

import llamawire.modelfile
from llamawire.modelfile import Command, ModelfileError, parse, read_parameters

FILE = parse(
    """FROM base
FROM ./projector.gguf
ADAPTER a
ADAPTER b
TEMPLATE one
TEMPLATE two
SYSTEM hello
LICENSE MIT
LICENSE Apache-2.0
MESSAGE user hi
MESSAGE assistant there
RENDERER r
PARSER p
REQUIRES v0.14.0
DRAFT d
PARAMETER stop a
PARAMETER stop b
PARAMETER temperature 0.5
PARAMETER temperature 1
PARAMETER num_ctx 4096
PARAMETER use_mmap F
PARAMETER think false
PARAMETER mirostat 1
"""
)


def test_commands_add_up() -> None:
    assert FILE.sources == ("base", "./projector.gguf")
    assert (FILE.template, FILE.system) == ("two", "hello")
    assert FILE.licenses == ("MIT", "Apache-2.0")
    assert FILE.messages == (("user", "hi"), ("assistant", "there"))
    assert (FILE.renderer, FILE.parser, FILE.requires) == ("r", "p", "0.14.0")
    assert (FILE.adapters, FILE.drafts) == (("b",), ("d",))
    parameters = FILE.parameters()
    assert parameters.values == {
        "stop": ["a", "b"],
        "temperature": 1.0,
        "num_ctx": 4096,
        "use_mmap": False,
        "think": False,
    }
    assert parameters.deprecated == ("mirostat",)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Command("from", " a "), "FROM  a "),
        (Command("system", "a b"), "SYSTEM a b"),
        (Command("system", 'a "b"'), 'SYSTEM a "b"'),
        (Command("system", " a"), 'SYSTEM " a"'),
        (Command("system", "a\nb"), 'SYSTEM "a\nb"'),
        (Command("template", 'a\n"b"'), 'TEMPLATE """a\n"b""""'),
        (Command("message", "hi\n", "user"), 'MESSAGE user "hi\n"'),
        (Command("parameter", "<eos>", "stop"), "PARAMETER stop <eos>"),
        (Command("license", ""), "LICENSE "),
    ],
)
def test_commands_are_quoted_where_they_need_it(command: Command, line: str) -> None:
    assert str(command) == line


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", "1", "unknown parameter ''"),
        ("foo", "1", "unknown parameter 'foo'"),
        ("NUM_CTX", "1", "unknown parameter 'NUM_CTX'"),
        ("num_ctx", "1.048576e+06", "invalid int value [1.048576e+06]"),
        ("num_ctx", "1_000", "invalid int value [1_000]"),
        ("num_ctx", "9223372036854775808", "invalid int value [9223372036854775808]"),
        ("temperature", "warm", "invalid float value [warm]"),
        ("temperature", "1e99", "invalid float value [1e99]"),
        ("temperature", "nan", "invalid float value [nan]"),
        ("use_mmap", "yes", "invalid bool value [yes]"),
    ],
)
def test_values_must_be_what_their_parameter_takes(name: str, value: str, error: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        read_parameters([(name, value)])
    assert str(caught.value) == error


def test_numbers_may_be_written_in_many_ways() -> None:
    pairs = [("seed", "-1"), ("num_keep", "+5"), ("top_p", ".5"), ("min_p", "1."),
             ("temperature", "1e-1")]  # fmt: skip
    assert read_parameters(pairs).values == {
        "seed": -1,
        "num_keep": 5,
        "top_p": 0.5,
        "min_p": 1.0,
        "temperature": 0.1,
    }


@pytest.mark.parametrize("version", ["0.14.0", "v1.2.3-rc.1+build", "1", "1.2"])
def test_versions_are_semantic(version: str) -> None:
    assert parse(f"FROM x\nREQUIRES {version}").requires == version.removeprefix("v")


@pytest.mark.parametrize("version", ["latest", "1.2.3.4", "01.2.3", "1.2.3-", "vv1.2.3"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(ModelfileError, match=r"requires must be a valid semver \(e.g. 0.14.0\)"):
        _ = parse(f"FROM x\nREQUIRES {version}").requires


def test_the_public_names_are_there() -> None:
    for name in llamawire.modelfile.__all__:
        assert hasattr(llamawire.modelfile, name)
