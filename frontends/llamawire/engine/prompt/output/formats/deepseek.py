"""DeepSeek: full-width tags around all calls, around each, and after the name.

    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>…<｜tool▁call▁end｜>…<｜tool▁calls▁end｜>

R1 and V3 write `function<｜tool▁sep｜>get_weather`, a line break, and the arguments in a fenced
block of JSON; V3.1 writes `get_weather<｜tool▁sep｜>{"city": "Paris"}`.
"""  # noqa: RUF002

from typing import Final

from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.formats.blocks import read_block_end, read_gap
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["CALL", "CALLS", "DEEPSEEK_TAGS", "read_deepseek"]

CALLS: Final = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
CALL: Final = "<｜tool▁call▁begin｜>"  # noqa: RUF001
_SEPARATOR: Final = "<｜tool▁sep｜>"  # noqa: RUF001
_CALL_END: Final = "<｜tool▁call▁end｜>"  # noqa: RUF001
_CALLS_END: Final = "<｜tool▁calls▁end｜>"  # noqa: RUF001

DEEPSEEK_TAGS: Final = (CALLS, CALL, _SEPARATOR, _CALL_END, _CALLS_END)
_TAGS: Final = Tags(CALLS, CALL, _CALLS_END)
_HEAD_ENDS: Final = Tags(_SEPARATOR, _CALL_END)
_NAME_ENDS: Final = Tags("\n", "{", _CALL_END)
_OBJECT_OR_END: Final = Tags("{", _CALL_END)
_ENDS: Final = Tags(_CALL_END, CALL, _CALLS_END)


def read_deepseek(source: Source, calls: Calls) -> Reading[None]:
    while tag := (yield from source.until(_TAGS, Content)):
        source.take(len(tag))
        if tag == CALL:
            yield from _read_call(source, calls)
        else:
            source.release(Markup)
        yield from read_gap(source, *_TAGS.tags)


def _read_call(source: Source, calls: Calls) -> Reading[None]:
    name = yield from source.text_until(_HEAD_ENDS)
    if (yield from source.at(_SEPARATOR)):
        source.take(len(_SEPARATOR))
        yield from source.whitespace()
        if not (yield from source.at("{")):
            name = yield from source.text_until(_NAME_ENDS)
    has_object = (yield from source.until(_OBJECT_OR_END)) == "{"
    text = (yield from source.brackets()) if has_object else None
    if text and calls.emit_named((name or "").strip(), text):
        yield from _read_fence(source)
    yield from read_block_end(source, _ENDS, _CALL_END)


def _read_fence(source: Source) -> Reading[None]:
    yield from source.whitespace()
    if (yield from source.at("```")):
        source.take(3)
    source.release(Markup)
