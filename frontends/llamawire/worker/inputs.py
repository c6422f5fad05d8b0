"""Inputs to embed as a model wants them: ids with its special tokens, cut to its limit.

What an input is followed by (BERT's `[SEP]`, an EOS) stays when the input is cut: a model that was
trained with it reads an input without it as unfinished.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["FittedInput", "InputReader", "InputTooLong"]

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class FittedInput:
    """`tokens` is what the model sees of an input that has `received_count`."""

    tokens: Ids
    received_count: int


class InputTooLong(Exception):
    """More tokens than the model takes, and cutting was ruled out."""

    def __init__(self, index: int, received: int, limit: int) -> None:
        self.metadata = {"index": str(index), "received": str(received), "limit": str(limit)}
        super().__init__(f"input {index} has {received} tokens, and the limit is {limit}")


class InputReader:
    """Reads inputs for one model. Blocking: call `read` in a thread."""

    def __init__(self, model: native.Model, input_tokens_max: int) -> None:
        self._model = model
        self._limit = input_tokens_max
        info = model.info
        around = model.tokenize("", add_special=True, parse_special=False)
        begins = int(len(around) > 0 and info["adds_bos"] and around[0] == info["bos_token"])
        self._head, self._tail = around[:begins], around[begins:]
        self._between = self._tail
        if info["adds_eos"] and info["adds_sep"]:
            self._between = np.array([info["eos_token"], info["sep_token"]], np.int32)

    def read(
        self, inputs: Iterable[pb.EmbedInput], *, num_ctx: int, truncate: bool
    ) -> list[FittedInput]:
        """Raises InputTooLong, or NativeError for a text that the vocabulary cannot express."""
        limit = min(num_ctx, self._limit)
        fitted = []
        for index, each in enumerate(inputs):
            tokens, tail = self._ids(each)
            received = len(tokens) + len(tail)
            if received > limit:
                if not truncate:
                    raise InputTooLong(index, received, limit)
                tokens = tokens[: max(limit - len(tail), 0)]
            fitted.append(FittedInput(np.concatenate([tokens, tail])[:limit], received))
        return fitted

    def _ids(self, each: pb.EmbedInput) -> tuple[Ids, Ids]:
        """The ids that may be cut, and those that follow whatever is left."""
        kind = each.WhichOneof("kind")
        nothing = self._tail[:0]
        if kind == "tokens":
            return np.array(each.tokens.ids, dtype=np.int32), nothing
        if kind == "rendered":
            return self._tokenize(each.rendered, parse_special=True), nothing
        if kind == "pair":
            query = self._tokenize(each.pair.query, parse_special=False)
            document = self._tokenize(each.pair.document, parse_special=False)
            return np.concatenate([self._head, query, self._between, document]), self._tail
        text = self._tokenize(each.text, parse_special=True)
        return np.concatenate([self._head, text]), self._tail

    def _tokenize(self, text: str, *, parse_special: bool) -> Ids:
        return self._model.tokenize(text, add_special=False, parse_special=parse_special)
