"""Calls that begin with a bracket: no tag says that this is a call and not an answer.

So only an answer that begins with the bracket can have calls, only tools that were offered can be
called, and text that turns out to be none of it is content after all.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.json_values import JSONObject
from llamawire.engine.prompt.output.source import HeldTooLong, Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["FindCalls", "read_bare"]

FindCalls: TypeAlias = Callable[[str], Sequence[tuple[str, JSONObject]]]
"""The calls of offered tools in the text of one JSON object."""

_OBJECT: Final = Tags("{")
_OBJECT_OR_END: Final = Tags("{", "]")


def read_bare(source: Source, calls: Calls, bracket: str, find: FindCalls) -> Reading[None]:
    """`{…}`, `{…};{…}` or `[{…}, {…}]`."""
    yield from source.whitespace()
    if (yield from source.at(bracket)):
        with contextlib.suppress(HeldTooLong):
            yield from _read_objects(source, calls, bracket == "[", find)
    source.release(Content)
    yield from source.rest(Content)


def _read_objects(source: Source, calls: Calls, is_list: bool, find: FindCalls) -> Reading[None]:
    """Ends with text held if that is content. After a call nothing is: the answer is the calls."""
    has_called = False
    tags = _OBJECT_OR_END if is_list else _OBJECT
    while (yield from source.until(tags, Markup if has_called else None)) == "{":
        text = yield from source.brackets()
        found = find(text) if text else ()
        for name, arguments in found:
            calls.emit(name, arguments)
            has_called = True
        if not found and has_called:
            source.reject("malformed" if text else "incomplete")
        elif not found and not is_list:
            return
    if has_called:
        yield from source.rest(Markup)
    elif not source.is_at_end:
        source.take(1)
