"""gpt-oss: the answer is messages on channels.

    <|channel|>analysis<|message|>What it thinks.<|end|>
    <|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>
    {"city": "Paris"}<|call|>
    <|start|>assistant<|channel|>final<|message|>What it says.<|return|>

The prompt ends with the first message's `<|start|>assistant`, or further on. The recipient may
stand before the channel. `<|call|>` and `<|return|>` end generation, so they may not be seen.
Commentary to nobody is what the model says to the user before it calls.
"""

import re
from typing import Final

from llamawire.engine.prompt.output.calls import Calls
from llamawire.engine.prompt.output.events import Content, Markup, Thinking
from llamawire.engine.prompt.output.source import Reading, Source
from llamawire.engine.prompt.output.tags import Tags
from llamawire.engine.prompt.output.thinking import ThinkingTags

__all__ = ["ANALYSIS", "FINAL_MESSAGE", "MARKS", "harmony_header", "read_harmony"]

FINAL_MESSAGE: Final = "<|end|><|start|>assistant<|channel|>final<|message|>"
"""What ends the thinking and begins the answer."""

_START: Final = "<|start|>"
_CHANNEL: Final = "<|channel|>"
_MESSAGE: Final = "<|message|>"
_RECIPIENT: Final = " to="
_CONSTRAIN: Final = "<|constrain|>"
_ENDS: Final = ("<|end|>", "<|call|>", "<|return|>")

MARKS: Final = (_START, _CHANNEL, _CONSTRAIN, _MESSAGE, *_ENDS)
ANALYSIS: Final = ThinkingTags(
    "<|channel|>analysis<|message|>", "<|end|>", ("<|call|>", "<|return|>", _START, _CHANNEL)
)

_HEADER_END: Final = Tags(_MESSAGE, *_ENDS)
_BODY_END: Final = Tags(*_ENDS, _START, _CHANNEL)

_CHANNEL_NAME: Final = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT_NAME: Final = re.compile(r"\bto=([^\s<]+)")


def harmony_header(prompt: str) -> tuple[str, bool]:
    """Of the message that a prompt has begun: its channel, "" if it has none yet, and whether its
    body has begun."""
    header, message, _ = prompt.rpartition(_START)[2].partition(_MESSAGE)
    channel = _CHANNEL_NAME.search(header)
    return (channel[1] if channel else "", bool(message))


def read_harmony(source: Source, calls: Calls) -> Reading[None]:
    """Text outside of any message is content, whatever made the model forget the frame."""
    _, start, header = source.prompt_end.rpartition(_START)
    header = header if start else ""
    if _MESSAGE in header:
        yield from _read_body(source, calls, header.partition(_MESSAGE)[0])
        header = ""
    while not source.is_at_end:
        tag = yield from source.at(_START, _CHANNEL, _MESSAGE, *_ENDS, _RECIPIENT)
        if tag in _ENDS:
            source.take(len(tag))
            yield from source.whitespace()
            source.release(Markup)
        elif tag:
            yield from _read_message(source, calls, header)
        else:
            yield from source.until(_BODY_END, Content)
        header = ""


def _read_message(source: Source, calls: Calls, header: str) -> Reading[None]:
    """Reads the rest of the header and the body."""
    mark = source.mark()
    end = yield from source.until(_HEADER_END)
    if end != _MESSAGE:
        source.reject("malformed" if end else "incomplete")
        return
    header += source.text_since(mark)
    source.take(len(_MESSAGE))
    yield from _read_body(source, calls, header)


def _read_body(source: Source, calls: Calls, header: str) -> Reading[None]:
    recipient = _RECIPIENT_NAME.search(header)
    if recipient and recipient[1] not in ("user", "all"):
        yield from _read_call(source, calls, recipient[1].removeprefix("functions."))
        return
    source.release(Markup)
    channel = _CHANNEL_NAME.search(header)
    if source.is_formed and channel and channel[1] == "final":
        yield from source.rest(Content)
    source.is_thinking = bool(channel and channel[1] == "analysis")
    yield from source.until(_BODY_END, Thinking if source.is_thinking else Content)
    source.is_thinking = False


def _read_call(source: Source, calls: Calls, name: str) -> Reading[None]:
    """Reads the arguments. A body that ends at once has none; where generation ends, who knows."""
    yield from source.whitespace()
    if (yield from source.at("{")):
        text = yield from source.brackets()
    else:
        text = "{}" if (yield from source.at(*_BODY_END.tags)) else None
    if not calls.tools:
        yield from source.until(_BODY_END)
        source.reject("unknown_tool")
    elif text and calls.emit_named(name, text):
        yield from source.until(_BODY_END, Markup)
    else:
        end = yield from source.until(_BODY_END)
        source.reject("malformed" if end else "incomplete")
