"""`<tool_call>`: Hermes, Qwen 2.5 and 3 write JSON in it, Qwen3-Coder and Qwen 3.5 functions.

    <tool_call>
    {"name": "get_weather", "arguments": {"city": "Paris"}}
    </tool_call>

    <tool_call>
    <function=get_weather>
    <parameter=city>
    Paris
    </parameter>
    </function>
    </tool_call>

The values of parameters are bare text: what they are, the tool's schema says. A function may also
come without the tag around it.
"""

from typing import Final

from llamawire.engine.prompt.messages import Property, Tool
from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content, Markup
from llamawire.engine.prompt.output.formats.blocks import read_block_end, read_gap
from llamawire.engine.prompt.output.json_values import JSONObject, JSONValue, parse_json
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags

__all__ = ["OPENING", "TOOL_CALL_TAGS", "read_functions", "read_tool_calls"]

OPENING: Final = "<tool_call>"
_CLOSING: Final = "</tool_call>"
TOOL_CALL_TAGS: Final = (OPENING, _CLOSING)
_FUNCTION: Final = "<function="
_FUNCTION_END: Final = "</function>"
_PARAMETER: Final = "<parameter="
_PARAMETER_END: Final = "</parameter>"

_ENDS: Final = Tags(_CLOSING, OPENING)
_PARTS: Final = Tags(_PARAMETER, _FUNCTION_END, _CLOSING, OPENING, _FUNCTION)
_NAME_END: Final = Tags(">")
_VALUE_END: Final = Tags(_PARAMETER_END)


def read_tool_calls(source: Source, calls: Calls) -> Reading[None]:
    """Blocks only."""
    yield from _read(source, calls, OPENING)


def read_functions(source: Source, calls: Calls) -> Reading[None]:
    """Blocks, and functions without a block around them."""
    yield from _read(source, calls, OPENING, _FUNCTION)


def _read(source: Source, calls: Calls, *openings: str) -> Reading[None]:
    tags = Tags(*openings)
    while opening := (yield from source.until(tags, Content)):
        if opening == OPENING:
            source.take(len(OPENING))
            yield from _read_block(source, calls)
        else:
            yield from _read_function(source, calls)
            yield from source.whitespace()
            if (yield from source.at(_CLOSING)):  # Some forget only the tag that opens.
                source.take(len(_CLOSING))
                source.release(Markup)
        yield from read_gap(source, *openings)


def _read_block(source: Source, calls: Calls) -> Reading[None]:
    yield from source.whitespace()
    while start := (yield from source.at(_FUNCTION, "{")):
        if start == _FUNCTION:
            yield from _read_function(source, calls)
        else:
            text = yield from source.brackets()
            if not text or not calls.emit_wrapped(text):
                break
        yield from source.whitespace()
    yield from read_block_end(source, _ENDS, _CLOSING)


def _read_function(source: Source, calls: Calls) -> Reading[None]:
    """Reads one function; its end tag may be missing where the block's is there."""
    source.take(len(_FUNCTION))
    name = yield from source.text_until(_NAME_END)
    texts: dict[str, str] = {}
    while (end := (yield from source.until(_PARTS))) == _PARAMETER:
        source.take(len(_PARAMETER))
        key = yield from source.text_until(_NAME_END)
        source.take(1 if key is not None else 0)
        value = yield from source.text_until(_VALUE_END)
        if key is None or value is None:
            end = ""
            break
        source.take(len(_PARAMETER_END))
        texts[key.strip()] = _without_line_breaks(value)
    if end == _FUNCTION_END:
        source.take(len(_FUNCTION_END))
    if not end or not name:
        source.reject("malformed" if end else "incomplete")
        return
    calls.emit(name.strip(), _arguments(texts, calls.tools.get(name.strip())))


def _without_line_breaks(value: str) -> str:
    """Without the line break after the opening tag and the one before the closing tag."""
    return value.removeprefix("\n").removesuffix("\n")


def _arguments(texts: dict[str, str], tool: Tool | None) -> JSONObject:
    properties = tool.parameters.properties if tool else {}
    return {key: _value(text, properties.get(key)) for key, text in texts.items()}


def _value(text: str, schema: Property | None) -> JSONValue:
    """The text as what the schema asks for; a string where it asks for nothing or is not met."""
    types = _types(schema) if schema else set()
    if not types or "string" in types:
        return text
    words = {"True": "true", "False": "false", "None": "null"}
    try:
        return parse_json(words.get(text.strip(), text))
    except ValueError:
        return text


def _types(schema: Property) -> set[str]:
    return {*schema.types, *(type_ for other in schema.any_of for type_ in _types(other))}
