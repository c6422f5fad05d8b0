"""create: what of a Modelfile reaches the server, and what is refused before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cli.conftest import Cli
from cli.fake_server import FakeServer
from llamawire.cli.model_files import file_keys, source_files
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb

GGUF = b"GGUF\x03\0\0\0" + b"weights" * 1000


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write(path: Path, data: bytes | str = GGUF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_a_modelfile_with_everything(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    write(tmp_path / "weights" / "m.gguf")
    write(tmp_path / "lora.gguf", GGUF + b"lora")
    write(tmp_path / "Modelfile", '''FROM ./weights/m.gguf
ADAPTER lora.gguf
TEMPLATE """{{ .Prompt }}"""
SYSTEM Be brief.
LICENSE MIT
PARAMETER num_ctx 64
PARAMETER temperature 0.5
PARAMETER stop a
PARAMETER stop b
PARAMETER mirostat 1
MESSAGE user hi
MESSAGE assistant hello
RENDERER r
PARSER p
REQUIRES v0.14.0
''')  # fmt: skip
    server.progress = [
        pb.CreateModelResponse(status="parsing GGUF"),
        pb.CreateModelResponse(status="success"),
    ]
    result = cli("create", "mine", "-q", "q4_K_M")
    assert result.out == "warning: parameter mirostat is deprecated\n"
    assert result.err.splitlines() == [
        "gathering model components",
        f"copying file {digest(GGUF)} (7 KB)",
        f"copying file {digest(GGUF + b'lora')} (7 KB)",
        "parsing GGUF",
        "success",
    ]
    assert server.blobs == {digest(data): data for data in (GGUF, GGUF + b"lora")}
    request = server.requests[-1]
    assert dict(request.files) == {"m.gguf": digest(GGUF)}
    assert dict(request.adapters) == {"lora.gguf": digest(GGUF + b"lora")}
    assert dict(request.parameters.items()) | {"stop": list(request.parameters["stop"])} == {
        "num_ctx": 64, "temperature": 0.5, "stop": ["a", "b"],
    }  # fmt: skip
    request.ClearField("files")
    request.ClearField("adapters")
    request.ClearField("parameters")
    assert request == pb.CreateModelRequest(
        model="mine",
        template="{{ .Prompt }}",
        system="Be brief.",
        licenses=["MIT"],
        messages=[
            model_pb2.StoredMessage(role="user", content="hi"),
            model_pb2.StoredMessage(role="assistant", content="hello"),
        ],
        quantize="q4_K_M",
        renderer="r",
        parser="p",
        requires="0.14.0",
    )


def test_a_model_to_start_from_and_no_file(cli: Cli, server: FakeServer) -> None:
    assert cli("create", "mine", "-f", "-", stdin="FROM tiny\nSYSTEM x").code == 0
    assert getattr(server.requests[-1], "from") == "tiny"
    assert server.names() == ["CreateModel"]


def test_what_the_server_has_is_not_sent_again(
    cli: Cli, server: FakeServer, tmp_path: Path
) -> None:
    write(tmp_path / "m.gguf")
    server.blobs[digest(GGUF)] = GGUF
    assert cli("create", "mine", "-f", "-", stdin="FROM m.gguf").code == 0
    assert "PutBlob" not in server.names()


def test_paths_start_from_the_modelfiles_folder(
    cli: Cli, server: FakeServer, tmp_path: Path
) -> None:
    write(tmp_path / "there" / "m.gguf")
    write(tmp_path / "there" / "Modelfile", "FROM m.gguf")
    assert cli("create", "mine", "--file", "there/Modelfile").code == 0
    assert list(server.requests[-1].files) == ["m.gguf"]


def test_without_a_modelfile_the_folder_is_the_model(
    cli: Cli, server: FakeServer, tmp_path: Path
) -> None:
    write(tmp_path / "m.gguf")
    write(tmp_path / "config.json", "{}")
    assert cli("create", "mine").code == 0
    assert sorted(server.requests[-1].files) == ["config.json", "m.gguf"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SYSTEM x", "no FROM line"),
        ("FROM tiny\nBAD x", "(line 2): command must be one of "),
        ("FROM tiny\nMESSAGE me x", '(line 2): message role must be one of "system", "user", or'),
        ("FROM tiny\nPARAMETER x y", "unknown parameter 'x'"),
        ("FROM tiny\nPARAMETER num_ctx x", "invalid int value [x]"),
        ("FROM tiny\nPARAMETER num_ctx", "unexpected EOF"),
        ("FROM tiny\nREQUIRES x", "requires must be a valid semver (e.g. 0.14.0)"),
        ("FROM tiny\nDRAFT x", "DRAFT is not supported"),
        ("FROM tiny\nADAPTER ./no", "stat {folder}/no: no such file or directory"),
        ("FROM ./no.gguf", "stat {folder}/no.gguf: no such file or directory"),
        ("FROM ~nobody-here/x", "failed to find user 'nobody-here': "),
        ("FROM .", "no Modelfile or safetensors files found"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    cli: Cli, server: FakeServer, tmp_path: Path, text: str, error: str
) -> None:
    result = cli("create", "mine", "-f", "-", stdin=text)
    assert result.code == 1
    assert result.err.removeprefix("gathering model components\n").startswith(
        f"Error: {error.format(folder=tmp_path)}"
    )
    assert server.requests == []


def test_names_and_missing_modelfiles_are_refused(cli: Cli, server: FakeServer) -> None:
    assert cli("create", "a b").err == "Error: invalid model name: a b\n"
    result = cli("create", "mine", "-f", "nowhere")
    assert result.err == "Error: specified Modelfile wasn't found: nowhere\n"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("model-1.safetensors", "sub/model-2.safetensors", "x.gguf"),
         ["model-1.safetensors", "sub/model-2.safetensors"]),
        (("a.gguf", "b.gguf", "c.bin"), ["a.gguf", "b.gguf"]),
        (("a.bin", "a.txt", "tokenizer.model"), ["a.bin", "tokenizer.model"]),
    ],
)  # fmt: skip
def test_a_folder_is_searched_for_one_kind_of_weights(
    tmp_path: Path, names: tuple[str, ...], found: list[str]
) -> None:
    for name in names:
        write(tmp_path / name)
    files = source_files(".", tmp_path)
    assert files is not None
    assert sorted(path.relative_to(tmp_path).as_posix() for path in files) == found


def test_weights_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    write(tmp_path / "pytorch_model.bin", b"PK\x03\x04rest")
    write(tmp_path / "consolidated.pth", "text")
    write(tmp_path / "chat_template.jinja", "{{ x }}")
    files = source_files(".", tmp_path)
    assert files is not None
    assert [path.name for path in files] == ["pytorch_model.bin", "chat_template.jinja"]


def test_a_companion_of_another_kind_is_an_error(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "m.gguf")
    write(tmp_path / "config.json")
    path = tmp_path / "config.json"
    assert cli("create", "mine", "--host", "127.0.0.1:1").err.endswith(
        f"Error: invalid content type: expected application/octet-stream for {path}\n"
    )


def test_a_folder_cannot_hand_out_what_lies_outside(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "blob")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.gguf").symlink_to(tmp_path / ".cache" / "blob")
    result = cli("create", "mine", "-f", "-", "--host", "127.0.0.1:1", stdin="FROM in")
    assert "Error: insecure path: ../.cache/blob\nUse --local-dir <dir>" in result.err


def test_several_files_keep_their_folders_below_the_one_they_share() -> None:
    paths = [Path("/a/b/x.gguf"), Path("/a/c/x.gguf"), Path("/a/b/x.gguf")]
    assert file_keys(paths) == {"b/x.gguf": paths[0], "c/x.gguf": paths[1]}
    assert list(file_keys(paths[:1])) == ["x.gguf"]
    assert file_keys([]) == {}


def test_home_is_expanded_and_a_file_hides_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "tiny")
    assert source_files("~/tiny", Path("/")) == [tmp_path / "tiny"]
    assert source_files("tiny", tmp_path) == [tmp_path / "tiny"]
    assert source_files("tiny", Path("/")) is None
