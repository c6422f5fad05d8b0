"""Text in, events out: what in a model's output is thinking, answer and calls.

    format_ = choose_output_format(go_template, chat_template, family, thinking_tags, tag)
    parser = format_.parser(tools=tools, think=think, prompt=prompt)
    for text in output:
        for event in parser.feed(text): ...
    for event in parser.finish(): ...

`events` says what comes out, `registry` which format a model writes, `format` what a format is.
`source` is what all of them stand on; `thinking` and `formats/` are their scripts. Nothing here
does I/O, and the work grows with the text, however it is cut into pieces.
"""

from llamawire.engine.prompt.output.budget import ThinkingBudget
from llamawire.engine.prompt.output.events import (
    Call,
    Content,
    Markup,
    OutputEvent,
    Rejected,
    RejectReason,
    Thinking,
)
from llamawire.engine.prompt.output.format import OutputFormat
from llamawire.engine.prompt.output.formats.harmony import harmony_header
from llamawire.engine.prompt.output.limits import DEFAULT_OUTPUT_LIMITS, OutputLimits
from llamawire.engine.prompt.output.parser import OutputParser
from llamawire.engine.prompt.output.registry import (
    FORMATS,
    choose_output_format,
    generic_format,
    output_format,
)

__all__ = [
    "DEFAULT_OUTPUT_LIMITS",
    "FORMATS",
    "Call",
    "Content",
    "Markup",
    "OutputEvent",
    "OutputFormat",
    "OutputLimits",
    "OutputParser",
    "RejectReason",
    "Rejected",
    "Thinking",
    "ThinkingBudget",
    "choose_output_format",
    "generic_format",
    "harmony_header",
    "output_format",
]
