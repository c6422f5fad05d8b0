"""Embedding and ranking against a real daemon."""

from __future__ import annotations

import base64
import concurrent.futures
import math
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.daemon import Daemon
from e2e.test_grpc import error_info
from gguf_files import tiny_bert
from llamawire.v1 import embedding_service_pb2 as pb
from llamawire.v1 import embedding_service_pb2_grpc

LONG = "the cat sat on the mat " * 40


@pytest.fixture(scope="module")
def embedder(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """The daemon, with `bert`, which embeds, and `ranker`, which ranks; both take 128 tokens."""
    folder = tmp_path_factory.mktemp("embed")
    daemon.add_model("bert", tiny_bert(folder / "bert.gguf", seed=1))
    daemon.add_model("ranker", tiny_bert(folder / "ranker.gguf", seed=2, pooling=4))
    return daemon


@pytest.fixture
def stub(embedder: Daemon) -> Iterator[embedding_service_pb2_grpc.EmbeddingServiceStub]:
    with embedder.channel() as channel:
        yield embedding_service_pb2_grpc.EmbeddingServiceStub(channel)


def embed(daemon: Daemon, given: Any, **fields: Any) -> Any:
    answer = daemon.post("/api/embed", {"model": "bert", "input": given} | fields)
    assert answer.status == 200, answer.body
    return answer.json


def length(vector: list[float]) -> float:
    return math.sqrt(sum(value * value for value in vector))


def test_texts_have_vectors_in_their_order(embedder: Daemon) -> None:
    answer = embed(embedder, ["the cat", "the dog sat", "the cat"])
    first, second, third = answer["embeddings"]
    assert len(first) == 64
    assert first == pytest.approx(third, abs=1e-3)
    assert first != pytest.approx(second, abs=1e-2)
    assert length(first) == pytest.approx(1, abs=1e-6)
    assert answer["prompt_eval_count"] == 4 + 5 + 4
    assert answer["total_duration"] > answer["load_duration"] > 0


def test_one_text_has_the_vector_it_has_among_others(embedder: Daemon) -> None:
    texts = [f"the cat sat on mat {index}" for index in range(40)]
    together = embed(embedder, texts)["embeddings"]
    for text, vector in zip(texts, together, strict=True):
        assert embed(embedder, text)["embeddings"][0] == pytest.approx(vector, abs=1e-3)


def test_fewer_dimensions_are_the_first_ones_of_length_1(embedder: Daemon) -> None:
    whole = embed(embedder, "the cat")["embeddings"][0]
    short = embed(embedder, "the cat", dimensions=8)["embeddings"][0]
    scale = length(whole[:8])
    assert short == pytest.approx([value / scale for value in whole[:8]], abs=1e-6)
    assert len(embed(embedder, "the cat", dimensions=99)["embeddings"][0]) == 64


def test_a_long_text_is_cut_and_the_answer_says_so(embedder: Daemon) -> None:
    answer = embed(embedder, [LONG, "the cat"])
    assert answer["prompt_eval_count"] == 128 + 4
    assert answer["prompt_dropped_count"] == 242 - 128
    short = embed(embedder, LONG, options={"num_ctx": 16})
    assert short["prompt_eval_count"] == 16


def test_a_long_text_is_refused_where_nothing_may_be_cut(embedder: Daemon) -> None:
    body = {"model": "bert", "input": LONG, "truncate": False}
    answer = embedder.post("/api/embed", body)
    assert answer.status == 400
    assert answer.json == {"error": "the input length exceeds the context length"}
    older = embedder.post("/api/embeddings", {"model": "bert", "prompt": LONG})
    assert (older.status, older.json) == (500, answer.json)


def test_no_input_loads_any_model(embedder: Daemon) -> None:
    for model in ("bert", "tiny"):
        answer = embedder.post("/api/embed", {"model": model})
        assert answer.body == b'{"model":"%s","embeddings":[]}' % model.encode()


def test_a_model_that_generates_does_not_embed(embedder: Daemon) -> None:
    answer = embedder.post("/api/embed", {"model": "tiny", "input": "x"})
    text = "This server does not support embeddings. Start it with `--embeddings`"
    assert (answer.status, answer.json) == (501, {"error": text})


def test_a_model_that_embeds_does_not_generate(embedder: Daemon) -> None:
    embed(embedder, "loaded")
    answer = embedder.generate(model="bert", prompt="x")
    assert (answer.status, answer.json) == (400, {"error": '"bert" does not support generate'})
    assert embedder.post("/api/generate", {"model": "bert", "keep_alive": 0}).status == 200


def test_the_older_route_gives_one_vector(embedder: Daemon) -> None:
    answer = embedder.post("/api/embeddings", {"model": "bert", "prompt": "the cat"})
    assert list(answer.json) == ["embedding"]
    wanted = embed(embedder, "the cat")["embeddings"][0]
    assert answer.json["embedding"] == pytest.approx(wanted, abs=1e-6)


def test_openai_gives_the_same_vectors(embedder: Daemon) -> None:
    body = {"model": "bert", "input": "the cat"}
    wanted = embed(embedder, "the cat")["embeddings"][0]
    answer = embedder.post("/v1/embeddings", body).json
    assert answer["data"][0]["embedding"] == wanted
    coded = embedder.post("/v1/embeddings", body | {"encoding_format": "base64"}).json
    data = base64.b64decode(coded["data"][0]["embedding"])
    assert list(struct.unpack("<64f", data)) == pytest.approx(wanted, abs=1e-7)


def test_documents_are_ranked_best_first(embedder: Daemon) -> None:
    documents = ["the cat", "why is the sky blue", "mat", "dog sat on the mat " * 50]
    body = {"model": "ranker", "query": "sky", "documents": documents}
    answer = embedder.post("/api/rerank", body).json
    scores = [each["relevance_score"] for each in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(each["index"] for each in answer["results"]) == [0, 1, 2, 3]
    assert answer["prompt_dropped_count"] > 0
    best = embedder.post("/v1/rerank", body | {"top_n": 1, "return_documents": True}).json
    assert best["results"][0]["document"]["text"] == documents[answer["results"][0]["index"]]
    assert len(best["results"]) == 1


def test_a_model_that_embeds_does_not_rank(embedder: Daemon) -> None:
    answer = embedder.post("/api/rerank", {"model": "bert", "query": "q", "documents": ["d"]})
    assert answer.status == 501


def test_many_clients_at_once_have_their_own_answers(embedder: Daemon) -> None:
    texts = [f"the cat {index}" for index in range(64)]
    wanted = embed(embedder, texts)["embeddings"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda text: embed(embedder, text)["embeddings"][0], texts))
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_grpc_embeds_texts_and_ids(
    embedder: Daemon, stub: embedding_service_pb2_grpc.EmbeddingServiceStub
) -> None:
    ids = [2, 73, 74, 3]
    inputs = [pb.EmbedInput(text="the cat"), pb.EmbedInput()]
    inputs[1].tokens.ids.extend(ids)
    reply = stub.Embed(pb.EmbedRequest(model="bert", inputs=inputs), timeout=60)
    text, tokens = (list(each.values) for each in reply.embeddings)
    assert text == pytest.approx(tokens, abs=1e-6)
    assert reply.prompt_count == 8
    assert reply.total_ns > reply.load_ns > 0


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.EmbedRequest(model="nope"), "MODEL_NOT_FOUND"),
        (pb.EmbedRequest(model="tiny", inputs=[pb.EmbedInput(text="x")]),
         "UNSUPPORTED_CAPABILITY"),
        (pb.EmbedRequest(model="bert", inputs=[pb.EmbedInput(text=LONG)], truncate=False),
         "INPUT_TOO_LONG"),
        (pb.EmbedRequest(model="bert", inputs=[pb.EmbedInput(text="x")] * 4097),
         "INVALID_ARGUMENT"),
    ],
)  # fmt: skip
def test_grpc_says_why_not(
    stub: embedding_service_pb2_grpc.EmbeddingServiceStub, request_: pb.EmbedRequest, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        stub.Embed(request_, timeout=60)
    assert error_info(failure.value).reason == reason


def test_a_worker_that_dies_over_inputs_is_replaced(start_daemon: Any, tmp_path: Path) -> None:
    daemon = start_daemon()
    large = tiny_bert(
        tmp_path / "large.gguf", embedding=512, heads=8, blocks=4, feed_forward=2048, context=512
    )
    daemon.add_model("large", large)
    embed(daemon, "the cat", model="large")
    [worker] = daemon.busy_workers()
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(embed(daemon, [LONG] * 30, model="large"))
    )
    asking.start()
    time.sleep(0.5)
    worker.kill()
    asking.join(60)
    assert len(answers[0]["embeddings"]) == 30
    assert [each.pid for each in daemon.busy_workers()] != [worker.pid]
