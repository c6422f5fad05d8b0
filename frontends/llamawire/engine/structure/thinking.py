"""The grammar of what comes before the answer of a model that thinks first.

It follows engine.prompt.output.thinking: blank space, the opening tag, anything up to the closing
tag, blank space. "Anything up to" is the automaton that looks for the tag: a rule for each number
of its characters that the text ends with.
"""

from __future__ import annotations

from llamawire.engine.structure.automaton import text_rules
from llamawire.engine.structure.characters import literal

__all__ = ["thinking_rules"]

PREFIX = "llamawire-thinking"


def thinking_rules(opening: str, closing: str, root: str, *, is_open: bool) -> tuple[str, str]:
    """The rules, and the name of the one that is thinking and then `root`."""
    lines = text_rules(PREFIX, closing)
    space = f"{PREFIX}-space"
    lines.append(f"{space} ::= [ \\t\\r\\n]*")
    thought = f"{PREFIX}-0 {space}"
    if is_open:
        lines.append(f"{PREFIX} ::= {thought} {root}")
    else:
        lines.append(f"{PREFIX} ::= ({space} {literal(opening)} {thought})? {root}")
    return "\n".join(lines) + "\n", PREFIX
