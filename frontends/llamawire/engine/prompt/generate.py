"""The conversation behind a request to generate: a prompt is one message of the user's."""

from collections.abc import Sequence

from llamawire.engine.prompt.messages import Message

__all__ = ["generate_messages"]


def generate_messages(
    prompt: str,
    *,
    images: Sequence[bytes] = (),
    system: str = "",
    model_system: str = "",
    model_messages: Sequence[Message] = (),
    has_context: bool = False,
) -> list[Message]:
    """System, the model's own messages, the prompt.

    The request's `system` stands in for the model's. With a context, even an empty one, the model's
    messages are left out: the context has them already.
    """
    system = system or model_system
    return [
        *([Message("system", system)] if system else []),
        *([] if has_context else model_messages),
        Message("user", prompt, images=tuple(images)),
    ]
