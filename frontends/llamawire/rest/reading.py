"""Reads a request's body without keeping others waiting, and no more of it than can be served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TypeVar

from aiohttp import web

from . import gojson

__all__ = ["INPUTS_MAX", "MESSAGES_MAX", "TOOLS_MAX", "at_most", "read_body"]

T = TypeVar("T")
C = TypeVar("C", bound=Collection[object])

INLINE_BYTES_MAX = 64 * 1024
"""Longer bodies are read in a thread: a megabyte of them may take a second."""

# The engine's limits, which it would tell only after each of a million had been read.
MESSAGES_MAX = 16_384
TOOLS_MAX = 1_024
INPUTS_MAX = 4_096


async def read_body(request: web.Request, read: Callable[[bytes], T]) -> T:
    """What `read` makes of the body; raises what it raises."""
    body = await request.read()
    if len(body) <= INLINE_BYTES_MAX:
        return read(body)
    return await asyncio.to_thread(read, body)


def at_most(count_max: int, name: str, found: C) -> C:
    """`found`, which stands in the field `name`; DecodeError if it is too many."""
    if len(found) > count_max:
        raise gojson.DecodeError(f"{name} must be at most {count_max}")
    return found
