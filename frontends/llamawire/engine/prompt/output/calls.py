"""The calls of one answer: what may be called, and how a call gets its number and its id."""

import random
import re
import string
from collections.abc import Callable, Sequence
from typing import Final

from llamawire.engine.prompt.messages import Tool, ToolCall
from llamawire.engine.prompt.output.events import Call
from llamawire.engine.prompt.output.json_values import JSONObject, as_object, parse_json
from llamawire.engine.prompt.output.source import Source

__all__ = ["Calls", "new_call_id", "wrapped_call"]

_ID_CHARS: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 8
_NAME: Final = re.compile(r"[\w.:/-]+")
_RANDOM: Final = random.SystemRandom()


def new_call_id() -> str:
    """`call_` and eight random characters."""
    return "call_" + "".join(_RANDOM.choices(_ID_CHARS, k=_ID_LENGTH))


def wrapped_call(value: JSONObject) -> tuple[str, JSONObject] | None:
    """Name and arguments of `{"name": …, "arguments" or "parameters": …}`.

    A call without arguments has empty ones. None when it is no call.
    """
    if isinstance(inner := value.get("function"), dict):
        value = inner
    name = value.get("name")
    given = next((value[key] for key in ("arguments", "parameters") if key in value), {})
    arguments = {} if given is None else as_object(given)
    if not isinstance(name, str) or not name or arguments is None:
        return None
    return name, arguments


class Calls:
    """Turns what a source holds into calls, or rejects it."""

    def __init__(self, source: Source, tools: Sequence[Tool], new_id: Callable[[], str]) -> None:
        self.tools = {tool.name: tool for tool in tools if tool.name}
        self._source = source
        self._new_id = new_id
        self._count = 0

    def emit(self, name: str, arguments: JSONObject) -> None:
        """What is held is a call of that name."""
        if self._count == self._source.limits.calls_max:
            self._source.reject("calls_max")
            return
        call = ToolCall(name, arguments, self._new_id(), self._count)
        self._count += 1
        self._source.call(lambda text: Call(call, text))

    def emit_wrapped(self, text: str) -> bool:
        """What is held is a call if the text is one with its name in it; else it stays held."""
        try:
            value = parse_json(text)
        except ValueError:
            return False
        found = wrapped_call(value) if isinstance(value, dict) else None
        if found:
            self.emit(*found)
        return found is not None

    def emit_named(self, name: str, text: str) -> bool:
        """The same where the name stands outside of the text, which is the arguments."""
        arguments = as_object(text)
        if arguments is None or not _NAME.fullmatch(name):
            return False
        self.emit(name, arguments)
        return True
