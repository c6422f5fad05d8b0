"""/api/embed, /api/embeddings, /api/rerank and their cousins under /v1."""

from __future__ import annotations

import base64
import struct
from typing import Any

import grpc
import pytest

from llamawire.v1 import embedding_service_pb2 as pb
from rest.conftest import Rest, Start
from rest.fake_engine import Failed, FakeEngine

FLOATS = [0.1, -0.25, 0.0, 1.0, 3e-7]
NOT_FOUND = Failed("MODEL_NOT_FOUND", code=grpc.StatusCode.NOT_FOUND)


def vectors(*rows: list[float], **fields: Any) -> pb.EmbedResponse:
    counts = {"prompt_count": 7, "total_ns": 14143917, "load_ns": 1019500} | fields
    return pb.EmbedResponse(embeddings=[pb.Embedding(values=row) for row in rows], **counts)


@pytest.fixture
async def rest(start: Start) -> Rest:
    return await start(FakeEngine(embedded=vectors(FLOATS)))


async def embed(rest: Rest, **body: Any) -> Any:
    return await rest.request("POST", "/api/embed", {"model": "tiny", **body})


async def test_a_text_has_a_vector_with_the_shortest_digits_of_float32(rest: Rest) -> None:
    reply = await embed(rest, input="the sky")
    assert reply.status == 200
    assert reply.body == (
        b'{"model":"tiny","embeddings":[[0.1,-0.25,0,1,3e-7]],"total_duration":14143917,'
        b'"load_duration":1019500,"prompt_eval_count":7}'
    )


async def test_the_request_reaches_the_engine_whole(rest: Rest) -> None:
    await embed(
        rest,
        input=["a", "", "b"],
        truncate=False,
        dimensions=3,
        keep_alive="1m",
        options={"num_ctx": 64},
    )
    asked = rest.engine.last(pb.EmbedRequest)
    assert isinstance(asked, pb.EmbedRequest)
    assert [each.text for each in asked.inputs] == ["a", "", "b"]
    assert asked.HasField("truncate")
    assert not asked.truncate
    assert (asked.dimensions, asked.options.num_ctx, asked.keep_alive.seconds) == (3, 64, 60)


async def test_what_was_cut_is_told(start: Start) -> None:
    rest = await start(FakeEngine(embedded=vectors([0.5], prompt_dropped_count=9)))
    assert (await embed(rest, input="x")).json["prompt_dropped_count"] == 9


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": ""}, {"input": []}])
async def test_no_input_loads_the_model(start: Start, body: dict[str, Any]) -> None:
    rest = await start(FakeEngine(embedded=vectors()))
    reply = await embed(rest, **body)
    assert (reply.status, reply.body) == (200, b'{"model":"tiny","embeddings":[]}')
    assert rest.engine.names() == ["Embed"]


@pytest.mark.parametrize("wrong", [1, True, {}, ["a", 1], [["a"]], [None]])
async def test_an_input_that_is_no_text_is_refused(start: Start, wrong: Any) -> None:
    rest = await start(FakeEngine(failures={"GetModel": NOT_FOUND}))
    reply = await embed(rest, input=wrong)
    assert (reply.status, reply.error) == (400, "invalid input type")


async def test_a_bad_name_comes_before_a_bad_input(start: Start) -> None:
    bad = Failed("INVALID_MODEL_NAME", code=grpc.StatusCode.INVALID_ARGUMENT)
    rest = await start(FakeEngine(failures={"GetModel": bad}))
    reply = await embed(rest, input=1)
    assert (reply.status, reply.error) == (400, "invalid model name")


async def test_a_wrong_option_answers_once_the_model_is_known(rest: Rest) -> None:
    reply = await embed(rest, input="a", options={"num_ctx": "x"})
    assert (reply.status, reply.error) == (500, 'option "num_ctx" must be of type integer')
    assert rest.engine.names() == ["GetModel"]


@pytest.mark.parametrize(
    ("path", "reason", "status", "text"),
    [
        ("embed", "MODEL_NOT_FOUND", 404, 'model "tiny" not found, try pulling it first'),
        ("embed", "MODEL_REQUIRED", 404, "model 'tiny' not found"),
        ("embed", "INPUT_TOO_LONG", 400, "the input length exceeds the context length"),
        ("embed", "INVALID_ARGUMENT", 400, "it went wrong"),
        ("embeddings", "MODEL_NOT_FOUND", 404, 'model "tiny" not found, try pulling it first'),
        ("embeddings", "MODEL_REQUIRED", 400, "model is required"),
        ("embeddings", "INPUT_TOO_LONG", 500, "the input length exceeds the context length"),
        ("embeddings", "INVALID_ARGUMENT", 500, "it went wrong"),
    ],
)
async def test_errors_have_the_words_of_their_route(
    start: Start, path: str, reason: str, status: int, text: str
) -> None:
    rest = await start(FakeEngine(failures={"Embed": Failed(reason)}))
    body = {"model": "tiny", "input": "a", "prompt": "a"}
    reply = await rest.request("POST", f"/api/{path}", body)
    assert (reply.status, reply.error) == (status, text)


async def test_a_model_that_does_not_embed_answers_501(start: Start) -> None:
    failure = Failed("UNSUPPORTED_CAPABILITY", capability="embedding", full_name="h/n/m:t")
    rest = await start(FakeEngine(failures={"Embed": failure}))
    reply = await embed(rest, input="a")
    text = "This server does not support embeddings. Start it with `--embeddings`"
    assert (reply.status, reply.error) == (501, text)


# ---- the older route -----------------------------------------------------------------------------


async def test_the_older_route_widens_its_numbers(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/embeddings", {"model": "tiny", "prompt": "sky"})
    assert reply.body == (b'{"embedding":[0.10000000149011612,-0.25,0,1,3.000000106112566e-7]}')
    asked = rest.engine.last(pb.EmbedRequest)
    assert isinstance(asked, pb.EmbedRequest)
    assert asked.HasField("truncate")
    assert not asked.truncate


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": None}])
async def test_the_older_route_loads_without_a_prompt(start: Start, body: dict[str, Any]) -> None:
    rest = await start(FakeEngine(embedded=vectors()))
    reply = await rest.request("POST", "/api/embeddings", {"model": "tiny", **body})
    assert (reply.status, reply.body) == (200, b'{"embedding":[]}')


async def test_the_older_route_names_its_struct(rest: Rest) -> None:
    reply = await rest.request("POST", "/api/embeddings", {"prompt": 1})
    assert reply.error == (
        "json: cannot unmarshal number into Go struct field EmbeddingRequest.prompt of type string"
    )


# ---- OpenAI --------------------------------------------------------------------------------------


async def openai(rest: Rest, **body: Any) -> Any:
    return await rest.request("POST", "/v1/embeddings", {"model": "tiny", **body})


async def test_openai_lists_vectors(rest: Rest) -> None:
    assert (await openai(rest, input=["a"])).json == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": FLOATS, "index": 0}],
        "model": "tiny",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


@pytest.mark.parametrize("encoding", ["base64", "BASE64"])
async def test_openai_encodes_float32(rest: Rest, encoding: str) -> None:
    reply = await openai(rest, input="a", encoding_format=encoding)
    data = base64.b64decode(reply.json["data"][0]["embedding"])
    assert data == struct.pack("<5f", *FLOATS)


async def test_openai_embeds_an_empty_text(rest: Rest) -> None:
    assert (await openai(rest, input="")).status == 200
    asked = rest.engine.last(pb.EmbedRequest)
    assert isinstance(asked, pb.EmbedRequest)
    assert [each.text for each in asked.inputs] == [""]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "invalid input"),
        ({"input": None}, "invalid input"),
        ({"input": []}, "invalid input"),
        ({"input": [1, 2]}, "invalid input type"),
        (
            {"input": "a", "encoding_format": "hex"},
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
        ),
    ],
)
async def test_openai_errors(rest: Rest, body: dict[str, Any], message: str) -> None:
    reply = await openai(rest, **body)
    assert reply.status == 400
    assert reply.json["error"]["message"] == message
    assert reply.json["error"]["type"] == "invalid_request_error"


# ---- ranking -------------------------------------------------------------------------------------


@pytest.fixture
async def ranking(start: Start) -> Rest:
    results = [pb.RerankResult(index=1, score=0.75), pb.RerankResult(index=0, score=-2.0)]
    return await start(FakeEngine(ranked=pb.RerankResponse(results=results, prompt_count=9)))


async def test_documents_are_ranked(ranking: Rest) -> None:
    body = {"model": "r", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 5}
    reply = await ranking.request("POST", "/api/rerank", body)
    assert reply.json["results"] == [
        {"index": 1, "relevance_score": 0.75},
        {"index": 0, "relevance_score": -2},
    ]
    asked = ranking.engine.last(pb.RerankRequest)
    assert isinstance(asked, pb.RerankRequest)
    assert (asked.query, list(asked.documents), asked.top_n) == ("q", ["a", "b"], 5)


async def test_documents_come_back_where_they_are_wanted(ranking: Rest) -> None:
    body = {"model": "r", "query": "q", "documents": ["a", "b"], "return_documents": True}
    reply = await ranking.request("POST", "/v1/rerank", body)
    assert reply.json["object"] == "list"
    assert reply.json["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert [each["document"]["text"] for each in reply.json["results"]] == ["b", "a"]


@pytest.mark.parametrize("missing", ["query", "documents"])
async def test_ranking_needs_a_query_and_documents(ranking: Rest, missing: str) -> None:
    body: dict[str, Any] = {"model": "r", "query": "q", "documents": ["a"]}
    del body[missing]
    reply = await ranking.request("POST", "/api/rerank", body)
    assert (reply.status, reply.error) == (400, f"{missing} is required")
