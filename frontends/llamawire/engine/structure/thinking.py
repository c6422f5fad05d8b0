"""The grammar of what comes before the answer of a model that thinks first.

It follows engine.prompt.output.thinking: blank space, the opening tag, anything up to the closing
tag, blank space. "Anything up to" is the automaton that looks for the tag: a rule for each number
of its characters that the text ends with.
"""

from __future__ import annotations

from llamawire.engine.structure.characters import ANY, Characters, literal

__all__ = ["thinking_rules"]

PREFIX = "llamawire-thinking"


def thinking_rules(opening: str, closing: str, root: str, *, is_open: bool) -> tuple[str, str]:
    """The rules, and the name of the one that is thinking and then `root`."""
    lines = [f"{PREFIX}-{count} ::= {_step(closing, count)}" for count in range(len(closing))]
    space = f"{PREFIX}-space"
    lines.append(f"{space} ::= [ \\t\\r\\n]*")
    thought = f"{PREFIX}-0 {space}"
    if is_open:
        lines.append(f"{PREFIX} ::= {thought} {root}")
    else:
        lines.append(f"{PREFIX} ::= ({space} {literal(opening)} {thought})? {root}")
    return "\n".join(lines) + "\n", PREFIX


def _step(closing: str, count: int) -> str:
    """What may come after `count` characters of the tag."""
    ways: dict[int, str] = {}
    for character in dict.fromkeys(closing):
        reached = _longest(closing, closing[:count] + character)
        ways[reached] = ways.get(reached, "") + character
    others = ANY - Characters.of("".join(text for reached, text in ways.items() if reached))
    alternatives = [f"{others.gbnf()} {PREFIX}-0"]
    for reached, text in ways.items():
        if reached == len(closing):
            alternatives.append(Characters.of(text).gbnf())
        elif reached:
            alternatives.append(f"{Characters.of(text).gbnf()} {PREFIX}-{reached}")
    return " | ".join(alternatives)


def _longest(closing: str, text: str) -> int:
    """The length of the longest beginning of the tag that the text ends with."""
    return max(n for n in range(len(closing) + 1) if text.endswith(closing[:n]))
