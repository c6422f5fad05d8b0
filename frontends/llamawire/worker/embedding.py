"""Calls to embed that meet are computed together.

While a round is computed in a thread, the inputs that arrive wait; the next round takes a share of
each call that waits. So many clients with one text each cost what one client with many texts does,
and a call with thousands does not keep the others waiting for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llamawire import native

__all__ = ["EmbedQueue", "shortened"]

ROUND_INPUTS_MAX = 256

Ids = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]


class EmbedQueue:
    """Computes for the calls of one asyncio loop."""

    def __init__(self, embedder: native.Embedder) -> None:
        self._embedder = embedder
        self._calls: list[Call] = []
        self._round: list[Share] = []
        self._cancellation = native.Cancellation()
        self._task: asyncio.Task[None] | None = None
        self._beats = 0

    @property
    def beats(self) -> int:
        """Another number at each look, unless a computation stands still."""
        if not self._round:
            self._beats += 1
        return self._beats + self._cancellation.beats

    async def embed(self, inputs: Sequence[Ids]) -> Vectors:
        """A vector for each input, shape [n, width]. NativeError says what was wrong with one."""
        width = self._embedder.info["width"]
        call = Call(inputs, np.empty((len(inputs), width), np.float32))
        self._calls.append(call)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            return await call.done
        finally:
            self._leave(call)

    def _leave(self, call: Call) -> None:
        """Forgets a call; a round that nobody waits for any more ends."""
        if call in self._calls:
            self._calls.remove(call)
        if self._round and all(share.call not in self._calls for share in self._round):
            self._cancellation.ask()

    async def _run(self) -> None:
        while self._calls:
            self._round = self._next_round()
            await self._compute(self._round)
            self._round = []
        self._task = None

    def _next_round(self) -> list[Share]:
        """Some inputs of every call, as far as there is room."""
        self._beats += self._cancellation.beats
        self._cancellation = native.Cancellation()
        calls = self._calls[:ROUND_INPUTS_MAX]
        fair = ROUND_INPUTS_MAX // len(calls)
        return [Share(call, call.begun, min(call.begun + fair, len(call.inputs))) for call in calls]

    async def _compute(self, shares: list[Share]) -> None:
        inputs = [tokens for share in shares for tokens in share.inputs]
        try:
            vectors = await asyncio.to_thread(
                self._embedder.embed, inputs, cancellation=self._cancellation
            )
        except native.NativeError as error:
            if len(shares) == 1:
                shares[0].call.fail(error)
                self._leave(shares[0].call)
                return
            # One input spoils the round for all; alone, each call gets what it deserves.
            for share in shares:
                if share.call in self._calls:
                    await self._compute([share])
            return
        begin = 0
        for share in shares:
            end = begin + len(share.inputs)
            if share.take(vectors[begin:end]) and share.call in self._calls:
                self._calls.remove(share.call)
            begin = end


@dataclass(eq=False)
class Call:
    """The inputs of one request, and as many of their vectors as there are."""

    inputs: Sequence[Ids]
    vectors: Vectors
    begun: int = 0

    def __post_init__(self) -> None:
        self.done: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a call's inputs, computed in one round."""

    call: Call
    begin: int
    end: int

    @property
    def inputs(self) -> Sequence[Ids]:
        return self.call.inputs[self.begin : self.end]

    def take(self, vectors: Vectors) -> bool:
        """Keeps the vectors; whether the call has all of its own now."""
        call = self.call
        call.vectors[self.begin : self.end] = vectors
        call.begun = self.end
        is_last = self.end == len(call.inputs)
        if is_last and not call.done.done():
            call.done.set_result(call.vectors)
        return is_last


def shortened(vectors: Vectors, dimensions: int) -> Vectors:
    """The first components, of length 1 again; all of them if there are not more."""
    if not 0 < dimensions < vectors.shape[1]:
        return vectors
    first: Vectors = vectors[:, :dimensions]
    lengths: Vectors = np.sqrt(np.sum(first * first, axis=1, keepdims=True, dtype=np.float32))
    shorter: Vectors = first / np.maximum(lengths, np.float32(1e-12))
    return shorter
