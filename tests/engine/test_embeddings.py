"""Embedding and ranking over a worker that only pretends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llamawire.engine.embeddings import Embeddings, EmbedRequest, RerankRequest
from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.metrics import Metrics
from llamawire.engine.settings import Settings
from llamawire.session.v1 import worker_service_pb2 as pb


class FakeOffice:
    """A catalog of one model, a scheduler and its runner. A text's vector is its length."""

    def __init__(self, *, ranks: bool = False, template: str | None = None):
        self.model = SimpleNamespace(
            name=SimpleNamespace(display="m", full="h/n/m:t"),
            stored=SimpleNamespace(adapters=()),
            parameters={},
            num_ctx_train=128,
            embeds=True,
            ranks=ranks,
            rerank_template=template,
        )
        self.leases = 0
        self.asked: list[pb.EmbedRequest] = []
        self.metrics = Metrics(list)
        self.embeddings = Embeddings(self, self, Settings(), self.metrics)  # type: ignore[arg-type]

    def get(self, name: str) -> Any:
        return self.model

    @contextlib.asynccontextmanager
    async def lease(self, *_: object) -> AsyncIterator[Any]:
        self.leases += 1
        yield self

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        self.asked.append(request)
        texts = [each.text or each.rendered or each.pair.document for each in request.inputs]
        return pb.EmbedResponse(
            vectors=np.array([[len(text)] for text in texts], "<f4").tobytes(),
            width=1,
            received_counts=[len(text) + 2 for text in texts],
            kept_counts=[2] * len(texts),
        )


def rerank(**fields: Any) -> RerankRequest:
    return RerankRequest(**({"model": "m", "query": "q", "documents": ("bb", "a", "ccc")} | fields))


async def test_vectors_and_counts_are_those_of_the_worker() -> None:
    found = await FakeOffice().embeddings.embed(EmbedRequest(model="m", inputs=("a", "bbb")))
    assert found.vectors.tolist() == [[1], [3]]
    assert (found.kept_count, found.dropped_count) == (4, 4)
    assert found.total_ns >= found.load_ns > 0


async def test_no_inputs_only_load() -> None:
    office = FakeOffice()
    office.model.embeds = False
    found = await office.embeddings.embed(EmbedRequest(model="m"))
    assert (office.leases, office.asked, len(found.vectors)) == (1, [], 0)


async def test_ids_are_sent_as_ids() -> None:
    office = FakeOffice()
    await office.embeddings.embed(EmbedRequest(model="m", inputs=((5, 6), "a")))
    first, second = office.asked[0].inputs
    assert (list(first.tokens.ids), second.text) == ([5, 6], "a")


async def test_the_context_of_the_request_is_its_limit() -> None:
    office = FakeOffice()
    await office.embeddings.embed(EmbedRequest(model="m", inputs=("a",), options={"num_ctx": 16}))
    await office.embeddings.embed(EmbedRequest(model="m", inputs=("a",)))
    assert [each.num_ctx for each in office.asked] == [16, 128]


async def test_there_is_a_limit_to_the_inputs() -> None:
    office = FakeOffice()
    with pytest.raises(InvalidArgument, match="inputs must be at most 4096"):
        await office.embeddings.embed(EmbedRequest(model="m", inputs=("a",) * 4097))
    with pytest.raises(InvalidArgument, match="documents must be at most 4096"):
        await office.embeddings.rerank(rerank(documents=("a",) * 4097))


async def test_a_model_is_asked_for_what_it_gives_only() -> None:
    with pytest.raises(Unsupported) as failure:
        await FakeOffice(ranks=True).embeddings.embed(EmbedRequest(model="m", inputs=("a",)))
    assert failure.value.metadata["capability"] == "embedding"
    with pytest.raises(Unsupported) as failure:
        await FakeOffice().embeddings.rerank(rerank())
    assert failure.value.metadata["capability"] == "rerank"


async def test_documents_come_best_first() -> None:
    ranking = await FakeOffice(ranks=True).embeddings.rerank(rerank())
    assert [(each.index, each.score) for each in ranking.documents] == [(2, 3), (0, 2), (1, 1)]
    best = await FakeOffice(ranks=True).embeddings.rerank(rerank(top_n=2))
    assert [each.index for each in best.documents] == [2, 0]


async def test_no_documents_have_no_order() -> None:
    ranking = await FakeOffice(ranks=True).embeddings.rerank(rerank(documents=()))
    assert ranking.documents == ()


async def test_a_template_of_the_model_writes_the_pair() -> None:
    office = FakeOffice(ranks=True, template="Q {query} D {document} end")
    await office.embeddings.rerank(rerank(query="{document}", documents=("{query}",)))
    assert office.asked[0].inputs[0].rendered == "Q {document} D {query} end"
