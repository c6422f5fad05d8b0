"""Models come and go over the real wire: show, named templates, files in several parts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from e2e.daemon import Daemon
from gguf_files import Typed, tiny_llama, write_gguf
from llamawire import modelfile
from llamawire.engine.store import GgufArray, read_gguf
from llamawire.v1 import model_service_pb2

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{{ '<|im_start|>assistant\\n' }}"
)
TOKENS = "tokenizer.ggml.tokens"


def upload(daemon: Daemon, path: Path) -> str:
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.request("POST", f"/api/blobs/{digest}", data).status in (200, 201)
    return digest


def halves(whole: Path, folder: Path) -> list[Path]:
    """The model in two files, as llama.cpp's tool cuts one."""
    gguf = read_gguf(whole)
    data = whole.read_bytes()
    arrays = {}
    for tensor in gguf.tensors:
        start = gguf.data_offset + tensor.offset
        values = np.frombuffer(data[start : start + tensor.size], "float32")
        arrays[tensor.name] = values.reshape(tensor.shape[::-1])
    keys = {
        key: list(gguf.elements(value)) if isinstance(value, GgufArray) else value
        for key, value in gguf.metadata.items()
    }
    paths = [folder / f"half-{number}-of-00002.gguf" for number in ("00001", "00002")]
    names = list(arrays)
    for index, (path, some) in enumerate(zip(paths, (names[:4], names[4:]), strict=True)):
        split = {"split.no": Typed(2, index), "split.count": Typed(2, 2)}
        metadata = (keys if index == 0 else {}) | split
        write_gguf(path, metadata, {name: arrays[name] for name in some})
    return paths


def test_the_model_in_the_box_is_shown(daemon: Daemon) -> None:
    answer = daemon.post("/api/show", {"model": "tiny"})
    assert answer.status == 200
    shown = answer.json
    assert list(shown) == [
        field
        for field in (
            "license", "modelfile", "parameters", "template", "system", "details", "messages",
            "model_info", "tensors", "capabilities", "modified_at",
        )
        if field in shown
    ]  # fmt: skip
    assert shown["details"]["format"] == "gguf"
    assert "completion" in shown["capabilities"]
    assert shown["model_info"]["general.architecture"] == shown["details"]["family"]
    assert shown["model_info"][TOKENS] is None
    assert "general.name" not in shown["model_info"]
    assert {"name", "type", "shape"} == set(shown["tensors"][0])
    read = modelfile.parse(shown["modelfile"])
    assert Path(read.sources[0]).is_file()
    verbose = daemon.post("/api/show", {"model": "tiny", "verbose": True}).json
    assert len(verbose["model_info"][TOKENS]) > 100
    assert verbose["tensors"] == shown["tensors"]


def test_grpc_shows_the_same(daemon: Daemon) -> None:
    shown = daemon.post("/api/show", {"model": "tiny"}).json
    with daemon.models() as stub:
        reply = stub.ShowModel(model_service_pb2.ShowModelRequest(model="TINY", verbose=True))
        with pytest.raises(grpc.RpcError) as caught:
            stub.ShowModel(model_service_pb2.ShowModelRequest(model="absent"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert reply.modelfile == shown["modelfile"]
    assert reply.model_info["general.architecture"].text == shown["details"]["family"]
    tokens = reply.model_info[TOKENS].array
    assert len(tokens.values) > 100
    assert not tokens.omitted
    assert [list(tensor.shape) for tensor in reply.tensors] == [
        tensor["shape"] for tensor in shown["tensors"]
    ]


def test_a_made_model_is_shown_and_its_modelfile_makes_it_again(daemon: Daemon) -> None:
    fields: dict[str, Any] = {
        "from": "tiny", "system": 'Say\n"hi".', "license": ["MIT", "BSD"], "stream": False,
        "parameters": {"num_ctx": 256, "stop": ["a b", "é\n"], "temperature": 0.25},
        "messages": [{"role": "User", "content": "hello"}], "requires": "0.1.0",
    }  # fmt: skip
    assert daemon.post("/api/create", {"model": "shown", **fields}).status == 200
    shown = daemon.post("/api/show", {"name": "Shown:LATEST"}).json
    assert shown["license"].endswith("\nMIT\nBSD")
    assert shown["system"] == 'Say\n"hi".'
    assert shown["messages"] == [{"role": "user", "content": "hello"}]
    assert shown["requires"] == "0.1.0"
    assert set(shown["parameters"].splitlines()) >= {
        "num_ctx                        256",
        'stop                           "é\\n"',
        'stop                           "a b"',
        "temperature                    0.25",
    }
    assert "# FROM shown:latest\n" in shown["modelfile"]
    read = modelfile.parse(shown["modelfile"])
    assert read.system == fields["system"]
    given = fields["parameters"]
    assert {**read.parameters().values, **given} == read.parameters().values
    laid = daemon.post("/api/show", {"model": "shown", "system": "X", "options": {"seed": 3}}).json
    assert laid["system"] == "X"
    assert "PARAMETER seed 3\n" in laid["modelfile"]
    assert daemon.request("DELETE", "/api/delete", {"model": "shown"}).status == 200
    answer = daemon.post("/api/show", {"model": "shown"})
    assert (answer.status, answer.json) == (404, {"error": "model 'shown:latest' not found"})


def test_a_template_that_is_known_gets_its_name_and_writes_the_same(
    daemon: Daemon, tmp_path: Path
) -> None:
    keys = {"tokenizer.chat_template": CHATML}
    path = tiny_llama(tmp_path / "m.gguf", tokenizer="bpe", metadata=keys)
    body = {"model": "named", "files": {"m.gguf": upload(daemon, path)}}
    lines = [line["status"] for line in daemon.post("/api/create", body).lines]
    assert "using autodetected template chatml" in lines
    assert lines[-1] == "success"
    shown = daemon.post("/api/show", {"model": "named"}).json
    assert "{{ .Content }}" in shown["template"]
    assert [line.split()[-1] for line in shown["parameters"].splitlines()] == [
        '"<|im_start|>"', '"<|im_end|>"',
    ]  # fmt: skip
    request = {"model": "named", "prompt": "Hi", "system": "Be.", "_debug_render_only": True}
    prompt = daemon.generate(**request).json["_debug_info"]["rendered_template"]
    assert prompt == (
        "<|im_start|>system\nBe.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_model_in_two_files_answers_like_the_whole(daemon: Daemon, tmp_path: Path) -> None:
    whole = tiny_llama(tmp_path / "whole.gguf", seed=3)
    daemon.add_model("whole", whole)
    files = {path.name: upload(daemon, path) for path in halves(whole, tmp_path)}
    answer = daemon.post("/api/create", {"model": "halves", "files": files})
    assert answer.lines[-1] == {"status": "success"}
    assert any(line["status"] == "merging split GGUF" for line in answer.lines)
    options = {"seed": 1, "num_predict": 12}
    texts = [
        daemon.generate(model=name, prompt="x", raw=True, options=options).json["response"]
        for name in ("whole", "halves")
    ]
    assert texts[0] == texts[1] != ""
    infos = [daemon.post("/api/show", {"model": name}).json for name in ("whole", "halves")]
    assert infos[0]["model_info"] == infos[1]["model_info"]
    assert infos[0]["tensors"] == infos[1]["tensors"]


def test_a_model_with_a_projector_shows_it(daemon: Daemon, tmp_path: Path) -> None:
    clip = {"general.architecture": "clip", "clip.has_vision_encoder": True}
    projector = write_gguf(tmp_path / "mmproj.gguf", clip)
    weights = tiny_llama(tmp_path / "w.gguf")
    files = {path.name: upload(daemon, path) for path in (projector, weights)}
    body = {"model": "seeing", "files": files, "stream": False}
    assert daemon.post("/api/create", body).json == {"status": "success"}
    shown = daemon.post("/api/show", {"model": "seeing"}).json
    assert shown["capabilities"] == ["completion", "vision"]
    assert shown["projector_info"] == {
        "clip.has_vision_encoder": True,
        "general.architecture": "clip",
        "general.parameter_count": 0,
    }
    assert shown["details"]["families"] == ["llama", "clip"]
