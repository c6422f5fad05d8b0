"""Tiny with eyes: the tokens of a picture stand where the chat format has a user's words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from eyes import Eyes
from model import Tiny
from tokenizer import Tokenizer
from torch import Tensor

BEFORE, AFTER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
STOP = "<|im_end|>"
ANSWER_TOKENS_MAX = 24
NO_TARGET = -1

Answer = list[tuple[str, bool]]
"""The pieces of an answer, and whether each is trained."""


@dataclass
class Seeing:
    """A language model and the eyes that learn to talk to it; what they see does not change."""

    tiny: Tiny
    tokens: Tokenizer
    eyes: Eyes

    def loss(self, pictures: Tensor, questions: list[str], answers: list[Answer]) -> Tensor:
        """Mean loss of an answer's trained token; each question is asked of one picture."""
        with torch.no_grad():
            seen = self.eyes.v(pictures)
        return self._loss(self.eyes.projected(seen), questions, answers)

    def talking_loss(self, questions: list[str], answers: list[str]) -> Tensor:
        """The same without pictures."""
        nothing = torch.zeros(len(questions), 0, self.tiny.shape.width)
        return self._loss(nothing, questions, [[(answer, True)] for answer in answers])

    def _loss(self, seen: Tensor, questions: list[str], answers: list[Answer]) -> Tensor:
        rows = [self._encoded(*pair) for pair in zip(questions, answers, strict=True)]
        ids = torch.zeros(len(rows), max(len(row) for row, _ in rows), dtype=torch.long)
        targets = torch.full_like(ids, NO_TARGET)
        for index, (row, wanted) in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            targets[index, : len(row)] = torch.tensor(wanted)
        hidden = self._read(seen, ids)[:, -ids.shape[1] - 1 : -1]
        wanted = targets != NO_TARGET
        logits = F.linear(hidden[wanted], self.tiny.token_embd.weight)
        return F.cross_entropy(logits, targets[wanted])

    def _encoded(self, question: str, answer: Answer) -> tuple[list[int], list[int]]:
        """The ids of a question and its answer, and what is to be learned in the place of each."""
        ids = self.tokens.encode(question + AFTER)
        targets = [NO_TARGET] * len(ids)
        for text, is_trained in [*answer[:-1], (answer[-1][0] + STOP, answer[-1][1])]:
            piece = self.tokens.encode(text)
            ids += piece
            targets += piece if is_trained else [NO_TARGET] * len(piece)
        return ids, targets

    @torch.no_grad()
    def answers(self, pictures: Tensor, question: str) -> list[str]:
        """The greedy answer to one question about each picture."""
        asked, seen = self.tokens.encode(question + AFTER), self.eyes(pictures)
        ids = torch.tensor(asked).repeat(len(pictures), 1)
        stop = self.tokens.id_of(STOP)
        for _ in range(ANSWER_TOKENS_MAX):
            hidden = self._read(seen, ids)[:, -1]
            following = F.linear(hidden, self.tiny.token_embd.weight).argmax(-1, keepdim=True)
            ids = torch.cat([ids, following], dim=1)
            if (ids[:, len(asked) :] == stop).any(dim=1).all():
                break
        return [self._text(row[len(asked) :], stop) for row in ids.tolist()]

    def _text(self, ids: list[int], stop: int) -> str:
        return self.tokens.decode(ids[: ids.index(stop)] if stop in ids else ids)

    def _read(self, seen: Tensor, ids: Tensor) -> Tensor:
        """What the model makes of the chat's head, the tokens of a picture and the ids after."""
        embed = self.tiny.token_embd
        head = embed(torch.tensor(self.tokens.encode(BEFORE))).expand(len(ids), -1, -1)
        x = torch.cat([head, seen, embed(ids)], dim=1)
        length = x.shape[1]
        mask = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
        return self.tiny.read(x, torch.arange(length)[None], mask)
