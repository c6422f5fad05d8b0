"""Vectors for texts, and documents in the order of their scores.

After the limits and the model come the load, then the worker.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from llamawire.engine.catalog import Catalog, ServedModel
from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.metrics import Metrics, RequestWatch
from llamawire.engine.options import Options, resolve
from llamawire.engine.scheduler import Scheduler
from llamawire.engine.settings import Settings
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = [
    "EmbedRequest",
    "Embedded",
    "Embeddings",
    "RankedDocument",
    "Ranking",
    "RerankRequest",
]

INPUTS_MAX = 4096
PLACES = re.compile(r"(\{query\}|\{document\})")

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EmbedRequest:
    """Inputs as text or as ids. `dimensions` 0 keeps all."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...] = ()
    dimensions: int = 0
    truncate: bool = True
    options: Mapping[str, object] = field(default_factory=dict)
    keep_alive_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class RerankRequest:
    """A query and what may answer it. `top_n` 0 wants all."""

    model: str
    query: str
    documents: tuple[str, ...] = ()
    top_n: int = 0
    truncate: bool = True
    options: Mapping[str, object] = field(default_factory=dict)
    keep_alive_s: float | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, shape [inputs, width], and the tokens they took. received = kept + dropped."""

    vectors: Vectors
    kept_count: int
    dropped_count: int
    load_ns: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """`index` is its place in the request."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Best first."""

    documents: tuple[RankedDocument, ...]
    kept_count: int
    dropped_count: int
    total_ns: int


class Embeddings:
    """Embeds and ranks with the models of a catalog."""

    def __init__(
        self, catalog: Catalog, scheduler: Scheduler, settings: Settings, metrics: Metrics
    ) -> None:
        self._catalog = catalog
        self._scheduler = scheduler
        self._settings = settings
        self._metrics = metrics

    async def embed(self, request: EmbedRequest) -> Embedded:
        """A vector for each input, in order. Without inputs the model is loaded, whatever it does.

        InvalidArgument with reason INPUT_TOO_LONG where `truncate` is false.
        """
        with self._metrics.request() as watch:
            check_count("inputs", len(request.inputs))
            model = await self._model(request.model)
            watch.model = model.name.display
            options = self._options(model, request.options)
            message = pb.EmbedRequest(
                inputs=[input_message(each) for each in request.inputs],
                truncate=request.truncate,
                num_ctx=options.num_ctx,
                dimensions=max(request.dimensions, 0),
            )
            if request.inputs:
                check_embeds(request.model, model, "embedding")
            return await self._answer(model, options, request.keep_alive_s, message, watch)

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Every document's score beside the query; a model that gives vectors is Unsupported."""
        with self._metrics.request() as watch:
            check_count("documents", len(request.documents))
            model = await self._model(request.model)
            watch.model = model.name.display
            options = self._options(model, request.options)
            check_embeds(request.model, model, "rerank")
            template = model.rerank_template
            message = pb.EmbedRequest(
                inputs=[pair_message(template, request.query, each) for each in request.documents],
                truncate=request.truncate,
                num_ctx=options.num_ctx,
            )
            answer = await self._answer(model, options, request.keep_alive_s, message, watch)
            scores = answer.vectors[:, 0] if len(message.inputs) else np.empty(0, np.float32)
            best = np.argsort(-scores, kind="stable")[: request.top_n or None]
            ranked = tuple(RankedDocument(int(index), float(scores[index])) for index in best)
            return Ranking(ranked, answer.kept_count, answer.dropped_count, answer.total_ns)

    async def _answer(
        self,
        model: ServedModel,
        options: Options,
        keep_alive_s: float | None,
        message: pb.EmbedRequest,
        watch: RequestWatch,
    ) -> Embedded:
        async with self._scheduler.lease(model, options, keep_alive_s) as runner:
            watch.loaded()
            load_ns = watch.elapsed_ns
            reply = await runner.embed(message) if message.inputs else pb.EmbedResponse()
        vectors: Vectors = np.frombuffer(reply.vectors, dtype="<f4")
        kept, received = sum(reply.kept_counts), sum(reply.received_counts)
        watch.count_prompt(kept, dropped=received - kept)
        watch.done()
        return Embedded(
            vectors=vectors.reshape(len(reply.kept_counts), reply.width),
            kept_count=kept,
            dropped_count=received - kept,
            load_ns=load_ns,
            total_ns=watch.elapsed_ns,
        )

    async def _model(self, name: str) -> ServedModel:
        return await asyncio.to_thread(self._catalog.get, name)

    def _options(self, model: ServedModel, given: Mapping[str, object]) -> Options:
        return resolve(
            model.parameters,
            given,
            context_length=self._settings.context_length,
            num_ctx_train=model.num_ctx_train,
            embeds=model.embeds,
        )


def check_count(name: str, count: int) -> None:
    if count > INPUTS_MAX:
        raise InvalidArgument(f"{name} must be at most {INPUTS_MAX}", field=name)


def check_embeds(asked: str, model: ServedModel, capability: str) -> None:
    """Before the load, since a model that generates would be loaded with a decode loop."""
    if not model.embeds or (capability == "rerank") != model.ranks:
        raise Unsupported(asked, model.name.full, capability)


def input_message(each: str | Iterable[int]) -> pb.EmbedInput:
    if isinstance(each, str):
        return pb.EmbedInput(text=each)
    return pb.EmbedInput(tokens=pb.Tokens(ids=each))


def pair_message(template: str | None, query: str, document: str) -> pb.EmbedInput:
    """A pair as the model's own template writes it, or else with separators between the two."""
    if template is None:
        return pb.EmbedInput(pair=pb.TextPair(query=query, document=document))
    parts = {"{query}": query, "{document}": document}
    pieces = PLACES.split(template)
    return pb.EmbedInput(rendered="".join(parts.get(piece, piece) for piece in pieces))
