"""/api/generate over a real model: the promises that need more than a fake engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.daemon import Daemon

SKY = "Why is the sky blue?"
LONG = "Tell me something about the sky, the sea and the sun. " * 12


def test_a_stream_is_what_the_single_answer_is(daemon: Daemon) -> None:
    options = {"seed": 3, "temperature": 0.7}
    one = daemon.generate(prompt=SKY, options=options).json
    lines = daemon.generate(prompt=SKY, options=options, stream=True).lines
    assert "".join(line["response"] for line in lines) == one["response"]
    assert all(not line["done"] for line in lines[:-1])
    assert lines[-1]["eval_count"] == one["eval_count"]
    assert "scatter" in one["response"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_seed_gives_the_same_text_on_a_cold_and_on_a_warm_cache(
    start_daemon: Callable[..., Daemon], temperature: float
) -> None:
    daemon = start_daemon()
    options = {"seed": 42, "temperature": temperature, "top_k": 0, "top_p": 1, "num_predict": 40}
    texts = set()
    for round_ in range(20):
        if round_ % 5 == 4:
            daemon.generate(prompt="", keep_alive=0)  # the next cache is cold
        if round_ % 3 == 2:  # and this one is warm with something else
            daemon.generate(prompt=LONG[: 40 * round_], options={"num_predict": 7})
        texts.add(daemon.generate(prompt=LONG + SKY, raw=True, options=options).json["response"])
    assert len(texts) == 1


def test_context_continues_the_conversation(daemon: Daemon) -> None:
    first = daemon.generate(prompt=SKY, options={"temperature": 0}).json
    assert first["prompt_eval_count"] + first["eval_count"] == len(first["context"])
    second = daemon.generate(
        prompt="And at sunset?", context=first["context"], options={"temperature": 0}
    ).json
    assert second["prompt_eval_count"] > len(first["context"])
    assert second["context"][: len(first["context"])] == first["context"]


def test_a_prompt_that_was_cut_is_told_so(daemon: Daemon) -> None:
    answer = daemon.generate(prompt=LONG, raw=True, options={"num_ctx": 64, "num_predict": 2}).json
    assert answer["prompt_dropped_count"] > 0
    assert "prompt_dropped_count" not in daemon.generate(prompt=SKY).json


@pytest.mark.parametrize("limits", [{"truncate": False}, {"shift": False}])
def test_a_prompt_that_may_not_be_cut_is_refused(daemon: Daemon, limits: dict[str, bool]) -> None:
    answer = daemon.generate(prompt=LONG, raw=True, options={"num_ctx": 64}, **limits)
    assert answer.status == 400
    assert "context" in answer.json["error"]


def test_a_full_context_shifts_or_ends(daemon: Daemon) -> None:
    endless = {"model": "endless", "raw": True, "prompt": "z"}
    shifted = daemon.generate(**endless, options={"num_ctx": 64, "num_predict": 200}).json
    assert shifted["eval_count"] == 200
    ended = daemon.generate(**endless, shift=False, options={"num_ctx": 64, "num_predict": 200})
    assert ended.json["done_reason"] == "length"
    assert ended.json["prompt_eval_count"] + ended.json["eval_count"] == 64


def test_system_and_template_reach_the_prompt(daemon: Daemon) -> None:
    rendered = daemon.generate(
        prompt="P", system="S", template="[{{ .System }}|{{ .Prompt }}]", _debug_render_only=True
    ).json["_debug_info"]["rendered_template"]
    assert rendered == "[S|P]"
    own = daemon.generate(prompt="P", system="S", _debug_render_only=True).json
    assert "S<|im_end|>" in own["_debug_info"]["rendered_template"]


def test_a_models_layers_are_used(daemon: Daemon) -> None:
    made = daemon.post(
        "/api/create",
        {"model": "pirate", "from": "tiny", "system": "Arr.", "stream": False,
         "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Aye"}],
         "parameters": {"num_predict": 3, "stop": ["x"]}},
    )  # fmt: skip
    assert made.json == {"status": "success"}
    rendered = daemon.generate(model="pirate", prompt="P", _debug_render_only=True).json
    text = rendered["_debug_info"]["rendered_template"]
    assert text.index("Arr.") < text.index("Hi") < text.index("Aye") < text.index("P<")
    assert daemon.generate(model="pirate", prompt=SKY).json["eval_count"] <= 3
    assert daemon.request("DELETE", "/api/delete", {"model": "pirate"}).status == 200
    assert daemon.generate(model="pirate", prompt="P").status == 404


def test_the_model_in_the_box_cannot_be_deleted_but_hidden(
    daemon: Daemon, start_daemon: Callable[..., Daemon]
) -> None:
    refused = daemon.request("DELETE", "/api/delete", {"model": "tiny"})
    assert refused.status == 403
    assert "LLAMAWIRE_NO_DEFAULT_MODEL=1" in refused.json["error"]
    bare = start_daemon(LLAMAWIRE_NO_DEFAULT_MODEL="1")
    assert bare.request("GET", "/api/tags").json == {"models": []}


def test_a_gguf_that_is_none_is_refused_and_harms_nobody(daemon: Daemon) -> None:
    digest = "sha256:" + "5" * 64
    assert daemon.request("POST", f"/api/blobs/{digest}", b"GGUF nonsense").status == 400
    assert daemon.request("HEAD", f"/api/blobs/{digest}").status == 404
    assert daemon.generate(prompt=SKY, options={"num_predict": 1}).status == 200


def test_a_timeout_ends_the_answer_with_its_reason(daemon: Daemon) -> None:
    answer = daemon.generate(
        model="endless", prompt="z", timeout=0.3, options={"num_predict": 100_000, "num_ctx": 4096}
    ).json
    assert answer["done_reason"] == "deadline"
    assert len(answer["response"]) > 10


def test_a_file_that_somebody_damaged_in_the_store_never_reaches_llama_cpp(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon()
    daemon.add_endless_model()
    (weights,) = [f for f in daemon.blobs() if f.stat().st_size > 50_000]
    data = bytearray(weights.read_bytes())
    data[8:16] = (2**40).to_bytes(8, "little")  # the number of tensors
    weights.write_bytes(data)
    answer = daemon.generate(model="endless", prompt="z")
    assert answer.status in (400, 404, 500), answer.body
    assert not daemon.busy_workers()
    assert daemon.generate(prompt=SKY, options={"num_predict": 1}).status == 200
