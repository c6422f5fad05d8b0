"""Converts requests without keeping others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

__all__ = ["converted"]

MessageT = TypeVar("MessageT", bound=Message)
T = TypeVar("T")

INLINE_BYTES_MAX = 64 * 1024
"""Larger requests are converted in a thread: a megabyte of them may take a second."""


async def converted(convert: Callable[[MessageT], T], request: MessageT) -> T:
    """What `convert` makes of the request; raises what it raises."""
    if request.ByteSize() <= INLINE_BYTES_MAX:
        return convert(request)
    return await asyncio.to_thread(convert, request)
