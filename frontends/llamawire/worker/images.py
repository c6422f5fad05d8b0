"""Pictures of requests to images as a prompt holds them, off the loop and off asyncio.

Few threads do the work: while one encodes, the other decodes the next file. A picture that was
encoded before costs its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from llamawire import native

__all__ = ["ImageReader", "InvalidImage", "NotWanted", "TooManyImages"]

THREADS = 2
IMAGES_WAITING_MAX = 256
"""Of all requests together; those behind are refused."""


class InvalidImage(Exception):
    """A picture of a request cannot be used; `index` says which."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"images[{index}] cannot be used: {reason}")
        self.metadata = {"field": "images", "index": str(index)}


class NotWanted(Exception):
    """Whoever asked has gone."""


class TooManyImages(Exception):
    """More pictures wait than there is room for."""

    def __init__(self) -> None:
        super().__init__(f"{IMAGES_WAITING_MAX} images wait to be encoded already")
        self.metadata = {"limit": str(IMAGES_WAITING_MAX)}


class ImageReader:
    """Encodes for the jobs of one asyncio loop."""

    def __init__(self, encoder: native.ImageEncoder) -> None:
        self._encoder = encoder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="images")
        self._waiting = 0

    async def read(
        self, pictures: Sequence[bytes], is_wanted: Callable[[], bool]
    ) -> list[native.Image]:
        """An image for each picture. InvalidImage, TooManyImages, or NotWanted as soon as
        `is_wanted` says so between two pictures."""
        if self._waiting + len(pictures) > IMAGES_WAITING_MAX:
            raise TooManyImages
        self._waiting += len(pictures)
        loop = asyncio.get_running_loop()
        try:
            # One at a time, so that a request with many does not keep the others waiting.
            return [
                await loop.run_in_executor(self._threads, self._read_one, index, data, is_wanted)
                for index, data in enumerate(pictures)
            ]
        finally:
            self._waiting -= len(pictures)

    def _read_one(self, index: int, data: bytes, is_wanted: Callable[[], bool]) -> native.Image:
        # Not above: a worker without a projector does without Pillow's memory.
        from llamawire.worker.pictures import BadPicture, decode_picture

        if not is_wanted():
            raise NotWanted
        digest = hashlib.sha256(data).digest()
        found = self._encoder.find(digest)
        if found is not None:
            return found
        try:
            return self._encoder.encode(digest, decode_picture(data))
        except BadPicture as error:
            raise InvalidImage(index, str(error)) from error
        except native.NativeError as error:
            if error.code != "INVALID_ARGUMENT":
                raise
            raise InvalidImage(index, str(error)) from error
