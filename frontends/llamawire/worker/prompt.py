"""The prompt of a job as ids: its text tokenised, and its images in the places of their markers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["PlacedImage", "Prompt", "placed", "tokenize"]

Ids = npt.NDArray[np.int32]

MARKER = re.compile(r"\[img-(\d{1,9})\]")


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """The job's image numbered `index`, whose ids begin at `begin`."""

    index: int
    begin: int
    image: native.Image


@dataclass(frozen=True, slots=True)
class Prompt:
    """`tokens`, shape [n], in which the embeddings of images have negative ids."""

    tokens: Ids
    images: tuple[PlacedImage, ...] = ()


def tokenize(model: native.Model, text: str, images: Sequence[native.Image] = ()) -> Prompt:
    """The first marker `[img-N]` of each image becomes that image; others stay text.

    Blocking. The texts between images are tokenised one by one, as llama.cpp's own tools do.
    """
    if not images:
        return Prompt(model.tokenize(text, add_special=True, parse_special=True))
    info = model.info
    head = [info["bos_token"]] if info["adds_bos"] else []
    tail = [info["eos_token"]] if info["adds_eos"] else []
    pieces = [np.array(head, np.int32)]
    placed_images = []
    end = 0
    for match, index in first_markers(text, len(images)):
        pieces.append(piece(model, text[end : match.start()]))
        begin = sum(map(len, pieces))
        placed_images.append(PlacedImage(index, begin, images[index]))
        pieces.append(images[index].ids)
        end = match.end()
    pieces += [piece(model, text[end:]), np.array(tail, np.int32)]
    return Prompt(np.concatenate(pieces), tuple(placed_images))


def piece(model: native.Model, text: str) -> Ids:
    if not text:
        return np.empty(0, np.int32)
    return model.tokenize(text, add_special=False, parse_special=True)


def first_markers(text: str, count: int) -> Iterable[tuple[re.Match[str], int]]:
    seen = set()
    for match in MARKER.finditer(text):
        index = int(match[1])
        if index < count and index not in seen:
            seen.add(index)
            yield match, index


def placed(tokens: Ids, spans: Iterable[pb.ImageSpan], images: Sequence[native.Image]) -> Prompt:
    """The prompt of a job that goes on: its ids are known, and where its images stand."""
    found = tuple(PlacedImage(span.image, span.begin, images[span.image]) for span in spans)
    return Prompt(tokens, found)
