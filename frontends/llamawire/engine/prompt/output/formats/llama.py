"""Llama 3: JSON, Python after a tag, or both.

    {"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": …}
    <|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}
    <|python_tag|>brave_search.call(query="weather in Paris")
    <|python_tag|>print(1 + 1)

Code that is no call is for the tool that runs code, if there is one.
"""

from collections.abc import Sequence
from typing import Final

from llamawire.engine.prompt.output.calls import Calls, wrapped_call
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.formats.bare import read_bare
from llamawire.engine.prompt.output.json_values import JSONObject, parse_json
from llamawire.engine.prompt.output.literals import read_python_calls
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["PYTHON_TAG", "read_llama"]

PYTHON_TAG: Final = "<|python_tag|>"
_PYTHON_TAGS: Final = Tags(PYTHON_TAG)
_TURN_ENDS: Final = Tags("<|eom_id|>", "<|eot_id|>")
_CODE_TOOLS: Final = ("code_interpreter", "ipython", "python")


def read_llama(source: Source, calls: Calls) -> Reading[None]:
    yield from source.whitespace()
    if (yield from source.at("{")):
        yield from read_bare(source, calls, "{", lambda text: _offered(text, calls))
        return
    source.release(Content)
    if (yield from source.until(_PYTHON_TAGS, Content)):
        source.take(len(PYTHON_TAG))
        yield from source.whitespace()
        if (yield from source.at("{")):
            yield from _read_objects(source, calls)
        else:
            yield from _read_code(source, calls)
        yield from source.rest(Markup)


def _offered(text: str, calls: Calls) -> Sequence[tuple[str, JSONObject]]:
    """The call in an object, of a tool that was offered."""
    try:
        value = parse_json(text)
    except ValueError:
        return ()
    call = wrapped_call(value) if isinstance(value, dict) else None
    return [call] if call and call[0] in calls.tools else ()


def _read_objects(source: Source, calls: Calls) -> Reading[None]:
    while (yield from source.at("{")):
        text = yield from source.brackets()
        if not text or not calls.emit_wrapped(text):
            source.reject("malformed" if text or not source.is_at_end else "incomplete")
        yield from source.whitespace()
        if (yield from source.at(";", ",")):
            source.take(1)
            yield from source.whitespace()
        source.release(Markup)


def _read_code(source: Source, calls: Calls) -> Reading[None]:
    mark = source.mark()
    yield from source.until(_TURN_ENDS)
    code = source.text_since(mark).strip()
    tool = next((name for name in _CODE_TOOLS if name in calls.tools), None)
    call = _builtin_call(code, source.limits.depth_max)
    if call:
        calls.emit(*call)
    elif tool and code:
        calls.emit(tool, {"code": code})
    else:
        source.reject("malformed")


def _builtin_call(code: str, depth_max: int) -> tuple[str, JSONObject] | None:
    """`brave_search.call(query=…)`: the way of calling the tools that Llama knows by itself."""
    try:
        calls = read_python_calls(code, depth_max)
    except ValueError:
        return None
    is_builtin = len(calls) == 1 and calls[0].name.endswith(".call") and not calls[0].positional
    return (calls[0].name.removesuffix(".call"), calls[0].arguments) if is_builtin else None
