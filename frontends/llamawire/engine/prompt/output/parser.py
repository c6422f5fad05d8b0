"""Drives a format's script through the pieces of an answer."""

from llamawire.engine.prompt.output.events import OutputEvent
from llamawire.engine.prompt.output.source import Reading, Source

__all__ = ["OutputParser"]


class OutputParser:
    """Reads one answer. For one thread at a time.

    It does not matter how the text is cut into pieces: the events are the same, but for where
    neighbours of one kind are cut.
    """

    __slots__ = ("_script", "_source")

    def __init__(self, source: Source, script: Reading[None]) -> None:
        self._source = source
        self._script = script
        next(self._script, None)

    @property
    def is_thinking(self) -> bool:
        """Whether the model was thinking where the text ends so far."""
        return self._source.is_thinking

    def feed(self, text: str) -> list[OutputEvent]:
        """What became certain by this piece of the answer."""
        assert not self._source.has_ended
        if text:
            self._source.feed(text)
            next(self._script, None)
        return self._source.drain()

    def finish(self) -> list[OutputEvent]:
        """What was still held, now that no more text will come. The last call."""
        self._source.has_ended = True
        next(self._script, None)
        assert self._source.is_at_end
        return self._source.drain()
