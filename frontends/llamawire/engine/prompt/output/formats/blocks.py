"""What the formats with tags round each call have in common."""

from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["read_block_end", "read_gap"]


def read_block_end(source: Source, ends: Tags, closing: str) -> Reading[None]:
    """Reads what is left of a block after its call: blank space and the closing tag.

    A call that was not understood is still held: then the block is rejected as a whole.
    """
    end = yield from source.until(ends)
    is_clean = not source.text_since(0).strip()
    if end == closing:
        source.take(len(closing))
    if is_clean:
        source.release(Markup)
    else:
        source.reject("malformed" if end else "incomplete")


def read_gap(source: Source, *openings: str) -> Reading[None]:
    """Reads the blank space after a block: part of the answer only if the answer goes on."""
    yield from source.whitespace()
    is_between = yield from source.at(*openings)
    source.release(Markup if is_between or source.is_at_end else Content)
