"""Quantization through the daemon, in a process of its own."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from e2e.daemon import Daemon
from gguf_files import tiny_llama

Start = Callable[..., Daemon]


# Among others; for a Q4_K_M the tied embedding and the more important tensors are Q6_K.
TYPES = {"q4_K_M": {"Q4_K", "Q6_K", "F32"}, "Q8_0": {"Q8_0", "F32"}, "Q2_K": {"Q2_K", "F32"}}


def create(daemon: Daemon, **fields: object) -> list[dict[str, object]]:
    answer = daemon.post("/api/create", fields)
    assert answer.status == 200, answer.body
    return answer.lines


@pytest.mark.parametrize("type_", ["q4_K_M", "Q8_0", "Q2_K"])
def test_the_model_in_the_box_is_smaller_afterwards_and_still_speaks(
    daemon: Daemon, type_: str
) -> None:
    lines = create(daemon, **{"model": "small", "from": "tiny", "quantize": type_})
    states = [line["status"] for line in lines]
    assert f"quantizing F16 model to {type_.upper()}" in states
    assert states.index("verifying conversion") < states.index("writing manifest")
    weights = next(str(state) for state in states if " layer " in str(state))
    assert weights.startswith("creating new layer")
    done = [line["completed"] for line in lines if "quantizing" in str(line["status"])]
    assert done == sorted(done)
    (small,) = [
        model for model in daemon.request("GET", "/api/tags").json["models"]
        if model["name"] == "small:latest"
    ]  # fmt: skip
    assert small["details"]["quantization_level"] == type_.upper()
    assert small["size"] < 4_000_000
    tensors = daemon.post("/api/show", {"model": "small"}).json["tensors"]
    assert TYPES[type_] <= {tensor["type"] for tensor in tensors}
    if type_ == "Q8_0":
        answer = daemon.generate(model="small", prompt="Why is the sky blue?").json
        assert "scatter" in answer["response"]


def test_weights_in_f32_can_be_quantized_even_if_the_file_does_not_say_so(
    daemon: Daemon, tmp_path: Path
) -> None:
    daemon.add_model("full", tiny_llama(tmp_path / "full.gguf"))
    lines = create(daemon, **{"model": "small32", "from": "full", "quantize": "Q8_0"})
    assert "quantizing F32 model to Q8_0" in [line["status"] for line in lines]
    details = daemon.post("/api/show", {"model": "small32"}).json["details"]
    assert details["quantization_level"] == "Q8_0"


def test_the_same_type_is_no_work(daemon: Daemon) -> None:
    lines = create(daemon, **{"model": "same", "from": "tiny", "quantize": "F16"})
    assert not any("quantizing" in str(line["status"]) for line in lines)
    assert lines[-1] == {"status": "success"}


@pytest.mark.parametrize(
    ("base", "type_", "text"),
    [
        ("tiny", "Q9_9", "unsupported quantization type Q9_9 - supported types are F32, F16"),
        ("tiny", "IQ2_M", "quantization type IQ2_M, which needs an importance matrix"),
        ("small8", "Q4_0", "quantization is only supported for F16, BF16 and F32 models"),
    ],
)
def test_what_cannot_be_quantized_is_told_and_leaves_nothing(
    daemon: Daemon, base: str, type_: str, text: str
) -> None:
    create(daemon, **{"model": "small8", "from": "tiny", "quantize": "Q8_0"})
    before = set(daemon.blobs())
    body = {"model": "no", "from": base, "quantize": type_, "stream": False}
    answer = daemon.post("/api/create", body)
    assert (answer.status, text in answer.json["error"]) == (500, True)
    assert set(daemon.blobs()) == before


def quantizers(daemon: Daemon) -> list[psutil.Process]:
    return daemon.children("llamawire.worker.quantize")


def begin_long_work(
    daemon: Daemon, folder: Path, blobs: Path
) -> tuple[http.client.HTTPConnection, set[Path]]:
    """Quantizes for long; the client's connection, and what was in `blobs` before."""
    path = tiny_llama(
        folder / "big.gguf", embedding=512, feed_forward=2048, blocks=12, dtype="float16",
        metadata={"general.file_type": 1},
    )  # fmt: skip
    daemon.add_model("big", path)
    before = set(blobs.iterdir())
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=30)
    body = json.dumps({"model": "never", "from": "big", "quantize": "IQ3_S"})
    connection.request("POST", "/api/create", body)
    answer = connection.getresponse()
    assert "quantizing" in json.loads(answer.readline())["status"]
    return connection, before


def test_a_daemon_that_is_killed_leaves_neither_the_work_nor_its_file(
    start_daemon: Start, tmp_path: Path
) -> None:
    blobs, models = tmp_path / "models" / "blobs", {"LLAMAWIRE_MODELS": str(tmp_path / "models")}
    first = start_daemon(**models)
    connection, before = begin_long_work(first, tmp_path, blobs)
    (quantizer,) = quantizers(first)
    assert set(blobs.iterdir()) != before
    first.kill()
    connection.close()
    quantizer.wait(30)
    start_daemon(**models)
    assert set(blobs.iterdir()) == before


def test_a_client_that_hangs_up_ends_the_work(daemon: Daemon, tmp_path: Path) -> None:
    blobs = daemon.log.parent / "models" / "blobs"
    connection, before = begin_long_work(daemon, tmp_path, blobs)
    assert quantizers(daemon)
    connection.close()
    deadline = time.monotonic() + 20
    while (quantizers(daemon) or set(daemon.blobs()) != before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not quantizers(daemon)
    assert set(daemon.blobs()) == before
