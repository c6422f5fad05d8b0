"""Puts images into the text of a conversation.

A prompt is text; an image stands in it as a marker, `[img-«id»]`, and the worker puts the image's
embeddings in the marker's place. The ids count over the whole conversation, from 0.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from llamawire.engine.prompt.messages import Message

__all__ = ["image_marker", "mark_images"]

_PLACE: Final = "[img]"


def image_marker(image_id: int) -> str:
    """The text that stands for the image."""
    return f"[img-{image_id}]"


def mark_images(messages: Iterable[Message]) -> tuple[list[Message], list[bytes]]:
    """The messages with a marker for each image, and the images by id.

    A marker takes the place of the first `[img]` left in its message, or else goes in front.
    """
    marked: list[Message] = []
    images: list[bytes] = []
    for message in messages:
        front, content = "", message.content
        for image in message.images:
            marker = image_marker(len(images))
            images.append(image)
            if _PLACE in content:
                content = content.replace(_PLACE, marker, 1)
            else:
                front += marker
        marked.append(replace(message, content=front + content))
    return marked, images
