"""Any model: the calls are somewhere after a tag, and look like JSON.

The tag is what the template writes before a call. After it, the name of a tool and an object are a
call, in whatever way they are put together:

    {"name": "get_weather", "arguments": {"city": "Paris"}}    also with `parameters`
    {"get_weather": {"city": "Paris"}}                         the name is a key
    get_weather {"city": "Paris"}                              the name stands before the object

Where the template writes no tag but JSON at once, an answer that begins with `{` or `[` is a call.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from llamawire.engine.prompt.output.calls import Calls, wrapped_call
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.format import AnswerReader
from llamawire.engine.prompt.output.formats.bare import read_bare
from llamawire.engine.prompt.output.json_values import JSONObject, JSONValue, as_object, parse_json
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["calls_in", "generic_reader"]

_OBJECT: Final = Tags("{")


def generic_reader(tag: str) -> AnswerReader:
    """Reads the answers of a model that writes `tag` before its calls."""
    if tag in ("", "{", "["):
        return lambda source, calls: read_bare(
            source, calls, tag or "{", lambda text: calls_in(text, "", list(calls.tools)) or ()
        )
    tags = Tags(tag)
    return lambda source, calls: _read_tagged(source, calls, tags)


def calls_in(
    text: str, name_before: str, names: Sequence[str]
) -> list[tuple[str, JSONObject]] | None:
    """The calls of these tools in the text of an object; None when that is not JSON.

    `name_before` is the tool that was named before the object, or "".
    """
    try:
        value = parse_json(text)
    except ValueError:
        return None
    assert isinstance(value, dict)
    found = list(_wrapped(value, names)) or list(_keyed(value, names))
    if found or _looks_wrapped(value, name_before):
        return found
    name = name_before or _earliest(text, names)
    return [(name, value)] if name else []


def _read_tagged(source: Source, calls: Calls, tags: Tags) -> Reading[None]:
    """After the tag nothing is content any more."""
    tag = yield from source.until(tags, Content)
    if not tag:
        return
    source.take(len(tag))
    names = list(calls.tools)
    name, has_read_object = "", False
    while True:
        mark = source.mark()
        is_object = yield from source.until(_OBJECT)
        name = name or _earliest(source.text_since(mark), names)
        if not is_object:
            break
        text = yield from source.brackets()
        found = calls_in(text, name, names) if text else None
        for found_name, arguments in found or ():
            calls.emit(found_name, arguments)
        has_read_object = True
        if found:
            name = ""
        else:
            is_unknown = found == [] and not (name or _earliest(text or "", names))
            is_cut = text is None and source.is_at_end
            source.reject("unknown_tool" if is_unknown else "incomplete" if is_cut else "malformed")
    if has_read_object:
        source.release(Markup)
    else:
        source.reject("incomplete")


def _earliest(text: str, names: Sequence[str]) -> str:
    """The name that stands first in the text, of two at the same place the longer; or ""."""
    places = ((text.find(name), -len(name), name) for name in names)
    return min((place for place in places if place[0] >= 0), default=(0, 0, ""))[2]


def _looks_wrapped(value: JSONObject, name_before: str) -> bool:
    """Whether it names its tool itself, so that nothing else in it can be the name.

    After a name, `{"name": "Ada"}` is only the arguments of that tool.
    """
    has_arguments = "arguments" in value or "parameters" in value
    return isinstance(value.get("name"), str) and (has_arguments or not name_before)


def _wrapped(value: JSONValue, names: Sequence[str]) -> Iterator[tuple[str, JSONObject]]:
    """Objects with `name` and arguments, at any depth, but not inside each other."""
    if isinstance(value, list):
        for item in value:
            yield from _wrapped(item, names)
    elif isinstance(value, dict):
        has_arguments = "arguments" in value or "parameters" in value
        call = wrapped_call(value) if has_arguments and "function" not in value else None
        if call and call[0] in names:
            yield call
        elif not call:
            yield from _wrapped(list(value.values()), names)


def _keyed(value: JSONValue, names: Sequence[str]) -> Iterator[tuple[str, JSONObject]]:
    """Objects under the name of a tool."""
    if isinstance(value, list):
        for item in value:
            yield from _keyed(item, names)
    elif isinstance(value, dict) and not _looks_wrapped(value, ""):
        for key, item in value.items():
            arguments = as_object(item) if key in names else None
            if arguments is None:
                yield from _keyed(item, names)
            else:
                yield key, arguments
