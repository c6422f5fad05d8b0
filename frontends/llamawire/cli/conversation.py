"""A conversation with a model. The only file that knows which call carries it.

Today that is Generate: the server hands out the tokens of what was said as `context`, and they go
back with the next prompt. `turns` keeps the texts, which is all that Chat will need.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from llamawire.cli.client import Client
from llamawire.cli.options import options_message
from llamawire.cli.replies import replies
from llamawire.modelfile import ParameterValue
from llamawire.v1.generation_pb2 import (
    Finished,
    Format,
    GenerateRequest,
    GenerateResponse,
    Think,
    TokenIds,
)
from llamawire.v1.model_service_pb2 import LoadRequest

__all__ = ["Conversation", "Settings", "Text"]


@dataclass(frozen=True)
class Text:
    """Some of an answer."""

    content: str
    thinking: str = ""


@dataclass
class Settings:
    """What goes with every request."""

    system: str = ""
    """Replaces the model's; empty: the model's."""
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    """Laid over the model's."""
    format: Format | None = None
    think: Think | None = None
    """None: the model's habit."""
    keep_alive_ns: int | None = None
    """None: the server's."""


class Conversation:
    """What was said with one model so far. Calls raise grpc.RpcError."""

    def __init__(self, client: Client, model: str, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.turns: list[tuple[str, str]] = []
        """Roles and texts, oldest first, without turns that failed or were interrupted."""
        self._client = client
        self._context: list[int] = []

    def load(self) -> None:
        """Loads the model, so that the first answer comes sooner."""
        options = options_message(self.settings.parameters)
        request = LoadRequest(model=self.model, options=options, keep_alive=self._keep_alive())
        self._client.models.Load(request)

    def clear(self) -> None:
        """Forgets what was said."""
        self.turns.clear()
        self._context.clear()

    def ask(
        self, prompt: str, images: Sequence[bytes] = ()
    ) -> Generator[Text | Finished, None, None]:
        """The answer, and last its counts. Closing the iterator ends the work on the server.

        The model sees images in the turn that they come with: `context` has no place for them.
        """
        request, answer = self._request(prompt, images), list[str]()
        with closing(replies(self._client.generation.Generate, request)) as arriving:
            for reply in arriving:
                if text := _text(reply):
                    answer.append(text.content)
                    yield text
                elif reply.HasField("finished"):
                    self._remember(prompt, "".join(answer), reply.finished)
                    yield reply.finished

    def _request(self, prompt: str, images: Sequence[bytes]) -> GenerateRequest:
        settings = self.settings
        return GenerateRequest(
            model=self.model,
            prompt=prompt,
            images=images,
            system=settings.system,
            context=TokenIds(ids=self._context) if self._context else None,
            format=settings.format,
            options=options_message(settings.parameters),
            keep_alive=self._keep_alive(),
            think=settings.think,
            return_context=True,
        )

    def _keep_alive(self) -> Duration | None:
        if self.settings.keep_alive_ns is None:
            return None
        duration = Duration()
        duration.FromNanoseconds(self.settings.keep_alive_ns)
        return duration

    def _remember(self, prompt: str, answer: str, finished: Finished) -> None:
        self.turns += [("user", prompt), ("assistant", answer)]
        self._context = list(finished.context.ids)


def _text(reply: GenerateResponse) -> Text | None:
    """All text that came in one message, if any did."""
    content = "".join(piece.text for piece in reply.pieces.pieces)
    return Text(content) if content else None
