"""A model with a LoRA adapter beside the model itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from e2e.daemon import Daemon
from gguf_files import lora_adapter, tiny_llama

OPTIONS = {"temperature": 0, "num_predict": 16}


def upload(daemon: Daemon, path: Path) -> str:
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert daemon.request("POST", f"/api/blobs/{digest}", data).status in (200, 201)
    return digest


def derive(daemon: Daemon, name: str, base: str, adapter: Path) -> None:
    adapters = {adapter.name: upload(daemon, adapter)}
    body = {"model": name, "from": base, "adapters": adapters, "stream": False}
    assert daemon.post("/api/create", body).json == {"status": "success"}


def text(daemon: Daemon, name: str) -> str:
    answer = daemon.generate(model=name, prompt="Hello", raw=True, options=OPTIONS)
    assert answer.status == 200, answer.body
    return str(answer.json["response"])


def test_models_with_and_without_adapters_are_served_side_by_side(
    daemon: Daemon, tmp_path: Path
) -> None:
    daemon.add_model("base", tiny_llama(tmp_path / "base.gguf", seed=1, scale=4.0))
    matrices = {"blk.1.ffn_down.weight": (64, 128), "output.weight": (354, 64)}
    derive(daemon, "adapted", "base", lora_adapter(tmp_path / "a.gguf", matrices))
    derive(daemon, "same", "base", lora_adapter(tmp_path / "zero.gguf", matrices, gain=0.0))
    derive(daemon, "both", "adapted", lora_adapter(tmp_path / "b.gguf", matrices, seed=2))
    base, adapted, both = text(daemon, "base"), text(daemon, "adapted"), text(daemon, "both")
    assert len({base, adapted, both}) == 3
    assert text(daemon, "same") == base
    assert (text(daemon, "base"), text(daemon, "adapted")) == (base, adapted)
    loaded = {model["name"] for model in daemon.request("GET", "/api/ps").json["models"]}
    assert {"base:latest", "adapted:latest"} <= loaded
    shown = daemon.post("/api/show", {"model": "both"}).json["modelfile"]
    assert shown.count("\nADAPTER ") == 2


def test_an_adapter_of_another_model_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    path = lora_adapter(tmp_path / "a.gguf", {"blk.0.attn_q.weight": (32, 32)})
    body = {"model": "no", "from": "tiny", "adapters": {"a.gguf": upload(daemon, path)}}
    answer = daemon.post("/api/create", body | {"stream": False})
    assert answer.status == 400
    assert "blk.0.attn_q.weight" in answer.json["error"]
