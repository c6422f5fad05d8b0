"""show: blocks, and one aspect at a time."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Cli
from cli.fake_server import FakeServer, model
from llamawire.cli.metadata import metadata_text
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb

Value = model_pb2.MetadataValue


def shown(**fields: Any) -> pb.ShowModelResponse:
    details = model_pb2.ModelDetails(family="test", parameter_size="7B", quantization_level="FP16")
    return pb.ShowModelResponse(
        **({"model": model(details=details, capabilities=fields.pop("capabilities", []))} | fields)
    )


def test_the_least_there_is(cli: Cli, server: FakeServer) -> None:
    server.shown = shown()
    assert cli("show", "tiny").out == (
        "  Model\n"
        "    architecture    test    \n"
        "    parameters      7B      \n"
        "    quantization    FP16    \n"
        "\n"
    )  # fmt: skip


def test_all_blocks_in_their_order(cli: Cli, server: FakeServer) -> None:
    server.shown = shown(
        capabilities=[model_pb2.CAPABILITY_COMPLETION, model_pb2.CAPABILITY_TOOLS],
        model_info={
            "general.architecture": Value(text="llama"),
            "llama.context_length": Value(unsigned=4096),
            "llama.embedding_length": Value(unsigned=64),
        },
        projector_info={
            "general.architecture": Value(text="clip"),
            "general.parameter_count": Value(unsigned=312_000_000),
            "clip.vision.embedding_length": Value(unsigned=1024),
        },
        parameters='stop                           "a b"\ntemperature                    0.5',
        system="one\n\ntwo\nthree",
        licenses=["MIT " + "x" * 96 + " end"],
        requires="0.14.0",
    )
    assert cli("show", "tiny").out == (
        "  Model\n"
        "    architecture        llama     \n"
        "    parameters          7B        \n"
        "    context length      4096      \n"
        "    embedding length    64        \n"
        "    quantization        FP16      \n"
        "    requires            0.14.0    \n"
        "\n"
        "  Capabilities\n"
        "    completion    \n"
        "    tools         \n"
        "\n"
        "  Projector\n"
        "    architecture        clip    \n"
        "    parameters          312M    \n"
        "    embedding length    1024    \n"
        "\n"
        "  Parameters\n"
        '    stop           "a     b"    \n'
        "    temperature    0.5          \n"
        "\n"
        "  System\n"
        "    one    \n"
        "    two    \n"
        "    ...    \n"
        "\n"
        "  License\n"
        f"    MIT {'x' * 96}    \n"
        f"    end{' ' * 97}    \n"
        "\n"
    )


def test_verbose_adds_metadata_and_tensors(cli: Cli, server: FakeServer) -> None:
    server.shown = shown(
        model_info={"b": Value(flag=True), "a": Value(number32=0.1)},
        tensors=[model_pb2.Tensor(name="output", type="F16", shape=[64, 354])],
    )
    out = cli("show", "-v", "tiny").out
    assert server.requests[-1].verbose
    assert "  Metadata\n    a    0.1     \n    b    true    \n\n" in out
    assert "  Tensors\n    output    F16    [64 354]    \n" in out


@pytest.mark.parametrize(
    ("flag", "out"),
    [
        ("--license", "MIT\nBSD\n"),
        ("--modelfile", "FROM x\n\n"),
        ("--parameters", "seed 1\n"),
        ("--system", "Hi."),
        ("--template", "{{ .Prompt }}"),
    ],
)
def test_one_aspect_is_printed_as_it_is(cli: Cli, server: FakeServer, flag: str, out: str) -> None:
    server.shown = shown(
        licenses=["MIT", "BSD"],
        modelfile="FROM x\n",
        parameters="seed 1",
        system="Hi.",
        template="{{ .Prompt }}",
    )
    assert cli("show", "tiny", flag).out == out


def test_two_aspects_are_too_many(cli: Cli) -> None:
    assert cli("show", "tiny", "--license", "--system").err == (
        "Error: only one of '--license', '--modelfile', '--parameters', '--system', or "
        "'--template' can be specified\n"
    )


def test_lists_are_shortened() -> None:
    def array(*texts: str, **fields: bool) -> Value:
        values = [Value(text=text) for text in texts]
        return Value(array=model_pb2.MetadataArray(values=values, **fields))

    assert metadata_text(array("a", "b")) == "[a b]"
    assert metadata_text(array("aa", "bb", "cc", "dd")) == "[aa bb ...+2 more]"
    assert metadata_text(array("a" * 30, "b")) == f"[{'a' * 30} ...+1 more]"
    assert metadata_text(array(omitted=True)) == "[...]"
    assert metadata_text(Value(integer=-3)) == "-3"


@pytest.mark.parametrize(
    ("number", "text"), [(1e-5, "1e-05"), (10_000, "10000"), (0.1, "0.1"), (3.4e38, "3.4e+38")]
)
def test_numbers_have_no_digits_too_many(number: float, text: str) -> None:
    assert metadata_text(Value(number32=number)) == text
    assert metadata_text(Value(number=number)) == text
