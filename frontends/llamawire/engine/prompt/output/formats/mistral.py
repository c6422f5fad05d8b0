"""`[TOOL_CALLS]`: Mistral, in the form of the older tokenizers and in those of the newer ones.

    [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}, …]
    [TOOL_CALLS]get_weather{"city": "Paris"}[TOOL_CALLS]…
    [TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}
    [TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{"city": "Paris"}

The model's ids are not handed on: the client has one kind of id for all models.
"""

from typing import Final

from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.formats.blocks import read_gap
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["MISTRAL_TAGS", "read_mistral"]

_OPENING: Final = "[TOOL_CALLS]"
MISTRAL_TAGS: Final = (_OPENING, "[ARGS]", "[CALL_ID]")
_OPENINGS: Final = Tags(_OPENING)
_OBJECT_OR_OPENING: Final = Tags("{", _OPENING)
_NAME_END: Final = Tags("[CALL_ID]", "[ARGS]", "{", _OPENING)
_ITEM: Final = Tags("{", "]")


def read_mistral(source: Source, calls: Calls) -> Reading[None]:
    while (yield from source.until(_OPENINGS, Content)):
        source.take(len(_OPENING))
        yield from source.whitespace()
        if (yield from source.at("[")):
            source.take(1)
            yield from _read_list(source, calls)
        elif (yield from source.at("{")):
            yield from _read_object(source, calls)
        else:
            yield from _read_named(source, calls)
        yield from read_gap(source, _OPENING)


def _read_list(source: Source, calls: Calls) -> Reading[None]:
    while (end := (yield from source.until(_ITEM))) == "{":
        yield from _read_object(source, calls)
    if end:
        source.take(1)
        source.release(Markup)
    else:
        source.reject("incomplete")


def _read_object(source: Source, calls: Calls) -> Reading[None]:
    text = yield from source.brackets()
    if not text or not calls.emit_wrapped(text):
        source.reject("malformed" if text or not source.is_at_end else "incomplete")


def _read_named(source: Source, calls: Calls) -> Reading[None]:
    name = yield from source.text_until(_NAME_END)
    end = yield from source.until(_OBJECT_OR_OPENING)
    text = (yield from source.brackets()) if end == "{" else None
    if not text or not calls.emit_named((name or "").strip(), text):
        source.reject("incomplete" if source.is_at_end and not text else "malformed")
