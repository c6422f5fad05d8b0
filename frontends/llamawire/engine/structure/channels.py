"""The grammar of what comes before the answer of a model that writes in channels.

It follows engine.prompt.output.formats.harmony: thoughts, and then the final message, whose header
ends the frame, or a call of a tool, which is all that comes. A mark stands in no body, and a call's
body is not empty, so that no call ends with a mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from llamawire.engine.prompt.output import harmony_header
from llamawire.engine.structure.automaton import text_rules
from llamawire.engine.structure.characters import literal

__all__ = ["channel_frame"]

ASSISTANT = "<|start|>assistant"
END = "<|end|>"
MARKS = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|call|>", "<|return|>")
THOUGHT, BODY = "thought", "body"

RULES = f"""
again ::= {literal(ASSISTANT)} message
message ::= "<|channel|>" header
header ::= "analysis<|message|>" {THOUGHT}-0 again | "final" constrain "<|message|>"
constrain ::= (" "? "<|constrain|>json")?
"""
CALL_RULES = f"""
again ::= {literal(ASSISTANT)} message
message ::= "<|channel|>" header | " to=" tool "<|channel|>" aside arguments
header ::= "analysis<|message|>" {THOUGHT}-0 again | "final" constrain "<|message|>" | call
call ::= aside " to=" tool arguments
aside ::= "commentary" | "analysis"
arguments ::= constrain "<|message|>" " "? "{{" {BODY}-0
constrain ::= (" "? "<|constrain|>json")?
"""


def channel_frame(prompt: str, tools: Sequence[str]) -> str:
    """The frame of the answer to a prompt, "" where the prompt has begun the final message.

    `tools` are the names of those that may be called.
    """
    channel, is_body = harmony_header(prompt)
    if is_body and channel == "final":
        return ""
    rules = [RULES]
    if tools:
        names = " | ".join(literal(name) for name in tools)
        rules = [CALL_RULES, f'tool ::= "functions."? ({names})\n']
        rules += text_rules(BODY, "", (*MARKS, END))
    start = f"{THOUGHT}-0 again" if is_body else "message"
    return "\n".join([f"root ::= {start}", *rules, *text_rules(THOUGHT, END, MARKS)]) + "\n"
