"""Pictures, from a request over REST and gRPC to the answer of a model that sees."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from e2e.daemon import Answer, Daemon
from gguf_files import bpe_vocabulary, tiny_llama, tiny_projector
from llamawire.v1 import chat_pb2, generation_pb2, model_service_pb2
from llamawire.v1.options_pb2 import Options

Image = pytest.importorskip("PIL.Image")

OPTIONS = {"temperature": 0, "num_predict": 16, "seed": 1}
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)


def picture(seed: int, format_: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """Four fields of colours that the seed chooses."""
    colours = hashlib.sha256(bytes([seed])).digest()
    image = Image.new("RGB", (2, 2))
    image.putdata([tuple(colours[at : at + 3]) for at in range(0, 12, 3)])
    out = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(out, format_)
    return out.getvalue()


def encoded(*pictures: bytes) -> list[str]:
    return [base64.b64encode(data).decode() for data in pictures]


def add_seeing_model(daemon: Daemon, name: str, folder: Path, **fields: Any) -> None:
    """Random weights that see: a model and a projector made into one from two files."""
    keys = {"tokenizer.chat_template": CHAT_TEMPLATE} if fields.pop("jinja", False) else {}
    weights = tiny_llama(folder / "weights.gguf", seed=3, scale=4.0,
                         vocabulary=bpe_vocabulary(), metadata=keys)  # fmt: skip
    projector = tiny_projector(folder / "projector.gguf")
    daemon.add_model(name, weights, beside=projector, **fields)


@pytest.fixture(scope="module")
def seeing(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    add_seeing_model(daemon, "seeing", tmp_path_factory.mktemp("seeing"))
    yield daemon
    daemon.request("DELETE", "/api/delete", {"model": "seeing"})


def look(daemon: Daemon, *pictures: bytes, **fields: Any) -> Answer:
    body = {"model": "seeing", "prompt": "what is it", "options": OPTIONS}
    return daemon.generate(**(body | fields), images=encoded(*pictures))


def text(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.json["response"])


def test_another_picture_gives_another_answer_and_the_same_the_same(seeing: Daemon) -> None:
    answers = [text(look(seeing, picture(seed))) for seed in range(5)]
    assert len(set(answers)) == 5
    assert [text(look(seeing, picture(seed))) for seed in range(5)] == answers
    assert (
        text(seeing.generate(model="seeing", prompt="what is it", options=OPTIONS)) not in answers
    )


def test_the_file_s_format_does_not_matter_but_its_pixels_do(seeing: Daemon) -> None:
    png = text(look(seeing, picture(1, "PNG")))
    assert text(look(seeing, picture(1, "PNG", (12, 8)))) == png, "the same after resizing"
    for format_ in ("WEBP", "GIF"):
        assert look(seeing, picture(1, format_)).status == 200


def test_images_count_as_tokens_of_the_prompt(seeing: Daemon) -> None:
    plain = seeing.generate(model="seeing", prompt="what is it", options=OPTIONS).json
    one, two = (look(seeing, *[picture(1)] * n).json for n in (1, 2))
    assert one["prompt_eval_count"] == plain["prompt_eval_count"] + 4
    assert two["prompt_eval_count"] == plain["prompt_eval_count"] + 8
    assert all(token >= 0 for token in two["context"])
    assert len(two["context"]) == two["prompt_eval_count"] + two["eval_count"] - 8


def test_markers_say_where_pictures_stand(seeing: Daemon) -> None:
    one, two = picture(1), picture(2)
    front = text(look(seeing, one, two, prompt="ab"))
    assert text(look(seeing, one, two, prompt="[img][img]ab")) == front
    assert text(look(seeing, one, two, prompt="[img-0][img-1]ab", raw=True)) == front
    assert text(look(seeing, one, two, prompt="ab", raw=True)) == front
    assert text(look(seeing, two, one, prompt="[img-1][img-0]ab", raw=True)) == front
    others = [
        text(look(seeing, two, one, prompt="ab")),
        text(look(seeing, one, two, prompt="a[img]b[img]")),
        text(look(seeing, one, two, prompt="ab[img]")),
        text(look(seeing, one, prompt="ab")),
    ]
    assert len({front, *others}) == 5


def test_the_prompt_before_it_is_decoded_has_the_markers(seeing: Daemon) -> None:
    answer = look(seeing, picture(1), picture(2), prompt="a [img] b", _debug_render_only=True)
    assert answer.json["_debug_info"] == {
        "rendered_template": "[img-1]a [img-0] b", "image_count": 2,
    }  # fmt: skip


def test_chat_takes_pictures_in_any_message(seeing: Daemon) -> None:
    def ask(*seeds: int) -> str:
        first = {"role": "user", "content": "look", "images": encoded(picture(seeds[0]))}
        last = {"role": "user", "content": "and this", "images": encoded(picture(seeds[1]))}
        said = {"role": "assistant", "content": "yes"}
        answer = seeing.chat(first, said, last, model="seeing", options=OPTIONS)
        assert answer.status == 200, answer.body
        return str(answer.json["message"]["content"])

    assert len({ask(1, 2), ask(2, 1), ask(1, 1)}) == 3


def test_a_template_in_the_file_sees_the_markers(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    add_seeing_model(daemon, "jinja", tmp_path_factory.mktemp("jinja"), jinja=True)
    fields = {"model": "jinja", "options": OPTIONS}
    rendered = look(daemon, picture(1), _debug_render_only=True, **fields)
    assert "[img-0]what is it<|im_end|>" in rendered.json["_debug_info"]["rendered_template"]
    one, two = (text(look(daemon, picture(seed), **fields)) for seed in (1, 2))
    assert one != two
    daemon.request("DELETE", "/api/delete", {"model": "jinja"})


def test_openai_s_route_takes_a_data_url(seeing: Daemon) -> None:
    def ask(url: str) -> Answer:
        parts = [
            {"type": "text", "text": "what is it"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        body = {"model": "seeing", "messages": [{"role": "user", "content": parts}],
                "temperature": 0, "max_tokens": 16, "seed": 1}  # fmt: skip
        return seeing.post("/v1/chat/completions", body)

    contents = []
    for seed in (1, 2):
        answer = ask("data:image/png;base64," + encoded(picture(seed))[0])
        assert answer.status == 200, answer.body
        contents.append(answer.json["choices"][0]["message"]["content"])
    assert contents[0] != contents[1]
    refused = ask("https://example.com/cat.png")
    assert refused.status == 400
    assert "image URLs are not currently supported" in refused.json["error"]["message"]
    assert ask("data:image/bmp;base64,AAAA").json["error"]["message"] == "invalid image input"


def test_younger_routes_take_pictures(seeing: Daemon) -> None:
    def ask(path: str, seed: int) -> str:
        data = encoded(picture(seed))[0]
        if path == "/v1/messages":
            source = {"type": "base64", "media_type": "image/png", "data": data}
            parts: list[Any] = [{"type": "image", "source": source}]
            body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 8}
        else:
            parts = [{"type": "input_image", "image_url": f"data:image/png;base64,{data}"}]
            body = {"input": [{"role": "user", "content": parts}], "max_output_tokens": 8}
        answer = seeing.post(path, {"model": "seeing", "temperature": 0, **body})
        assert answer.status == 200, answer.body
        said = answer.json["content"] if "content" in answer.json else answer.json["output"]
        return str(said[0].get("text") or said[0]["content"][0]["text"])

    for path in ("/v1/messages", "/v1/responses"):
        assert ask(path, 1) != ask(path, 2)


def test_grpc_and_rest_see_alike(seeing: Daemon) -> None:
    options = Options(**OPTIONS)
    generate = generation_pb2.GenerateRequest(
        model="seeing", prompt="what is it", images=[picture(1)], options=options
    )
    message = chat_pb2.ChatMessage(role="user", content="what is it", images=[picture(1)])
    chat = chat_pb2.ChatRequest(model="seeing", messages=[message], options=options)
    with seeing.generation() as stub:
        generated = "".join(p.text for r in stub.Generate(generate) for p in r.pieces.pieces)
        said = "".join(p.content for r in stub.Chat(chat) for p in r.pieces.pieces)
    assert generated == text(look(seeing, picture(1)))
    assert said == generated, "the template is the same"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "images[0] cannot be used: it is empty"),
        (b"no picture", "images[0] cannot be used: it is none of JPEG, PNG, WEBP, GIF"),
        (picture(1)[:50], "images[0] cannot be used: it is damaged"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_worker_lives(
    seeing: Daemon, data: bytes, message: str
) -> None:
    expected = text(look(seeing, picture(1)))
    before = {worker.pid for worker in seeing.busy_workers()}
    answer = look(seeing, data)
    assert answer.status == 400
    assert message in answer.json["error"]
    second = look(seeing, picture(1), data)
    assert second.status == 400
    assert "images[1]" in second.json["error"]
    assert text(look(seeing, picture(1))) == expected
    assert before <= {worker.pid for worker in seeing.busy_workers()}


def test_an_error_over_grpc_names_field_and_picture(seeing: Daemon) -> None:
    request = generation_pb2.GenerateRequest(model="seeing", prompt="x", images=[picture(1), b"y"])
    with seeing.generation() as stub, pytest.raises(grpc.RpcError) as caught:
        list(stub.Generate(request))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "INVALID_IMAGE"
    assert dict(info.metadata) == {"field": "images", "index": "1"}


def test_more_pictures_than_the_limit_are_refused(seeing: Daemon) -> None:
    answer = look(seeing, *[b"x"] * 65)
    assert answer.status == 400
    assert answer.json["error"] == "images must be at most 64"


def test_a_prompt_with_pictures_is_never_cut(seeing: Daemon) -> None:
    answer = look(seeing, picture(1), prompt="word " * 3000)
    assert answer.status == 400
    assert "exceeds the available context size" in answer.json["error"]


def test_a_model_without_a_projector_says_so(daemon: Daemon) -> None:
    answer = daemon.generate(prompt="x", images=encoded(picture(1)))
    assert answer.status == 400
    assert json.loads(answer.json["error"]) == {"error": {
        "code": 400,
        "message": "Multimodal data provided, but model does not support multimodal requests.",
        "type": "invalid_request_error",
    }}  # fmt: skip


def test_show_tells_of_the_projector(seeing: Daemon) -> None:
    shown = seeing.post("/api/show", {"model": "seeing"}).json
    assert "vision" in shown["capabilities"]
    assert shown["projector_info"]["clip.projector_type"] == "mlp"
    with seeing.models() as stub:
        shown_again = stub.ShowModel(model_service_pb2.ShowModelRequest(model="seeing"))
    assert shown_again.projector_info["clip.vision.patch_size"].unsigned == 8


def test_memory_of_the_projector_counts(seeing: Daemon) -> None:
    look(seeing, picture(1))
    running = {model["model"]: model for model in seeing.request("GET", "/api/ps").json["models"]}
    plain = seeing.post("/api/show", {"model": "seeing"}).json
    assert running["seeing:latest"]["context_length"] >= 2048, plain["details"]
    assert running["seeing:latest"]["size"] > 34_000


def test_a_killed_worker_is_a_pause_with_pictures_too(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon(LLAMAWIRE_READ_AHEAD="64")
    daemon.add_endless_model()
    weights, projector = daemon.log.parent / "endless.gguf", tiny_projector(tmp_path / "p.gguf")
    daemon.add_model("seeing", weights, beside=projector)
    request = generation_pb2.GenerateRequest(
        model="seeing", prompt="z", raw=True, images=[picture(1), picture(2)],
        options=Options(num_predict=15_000, num_ctx=2048, seed=1),
    )  # fmt: skip
    ids: list[int] = []
    finished = None
    with daemon.generation() as stub:
        for reply in stub.Generate(request):
            for piece in reply.pieces.pieces:
                if not ids:
                    (worker,) = daemon.busy_workers()
                    worker.send_signal(signal.SIGKILL)
                ids.extend(piece.token_ids)
            if reply.HasField("finished"):
                finished = reply.finished
    assert finished is not None
    assert finished.resumed_count == 1
    assert finished.generated_count == len(ids) == 15_000


def test_a_modelfile_with_two_files_makes_a_model_that_sees(seeing: Daemon, tmp_path: Path) -> None:
    tiny_llama(tmp_path / "w.gguf", seed=3, scale=4.0, vocabulary=bpe_vocabulary())
    tiny_projector(tmp_path / "p.gguf")
    (tmp_path / "Modelfile").write_text("FROM ./w.gguf\nFROM ./p.gguf\n")
    (tmp_path / "cat.png").write_bytes(picture(1))
    environment = {**os.environ, "LLAMAWIRE_GRPC": f"127.0.0.1:{seeing.grpc_port}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "llamawire.cli", *words], env=environment, cwd=tmp_path,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    made = run("create", "made", "-f", "Modelfile")
    assert made.returncode == 0, made.stderr
    assert "vision" in seeing.post("/api/show", {"model": "made"}).json["capabilities"]
    answer = run("run", "made", "what is ./cat.png", "--keepalive", "0s")
    assert answer.returncode == 0, answer.stderr
    assert "Added image './cat.png'" in answer.stderr
    seeing.request("DELETE", "/api/delete", {"model": "made"})
