"""The parts of JSON as rules of GBNF, and how they are put together."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llamawire.engine.structure.characters import ANY, Characters, literal
from llamawire.engine.structure.grammar import Rules
from llamawire.engine.structure.regex import STRING_CHARACTERS

__all__ = ["builtin", "json_literal", "key", "listed", "other_key"]

# Halves of surrogate pairs are left out, so that a character of the text is one of the string.
CHARACTER = (
    f"{STRING_CHARACTERS.gbnf()} | "
    '"\\\\" (["\\\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))'
)
MONTHS = (
    '("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
    ' | ("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30")'
    ' | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
)
HOUR = '([01] [0-9] | "2" [0-3])'

BUILTINS = {
    # Blank space is limited, or a model could go on with it for ever.
    "ws": '(" " | "\\n" [ \\t]{0,20})?',
    "char": CHARACTER,
    "string": '"\\"" char* "\\""',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": 'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "object": '"{" ws (string ":" ws value ("," ws string ":" ws value)* ws)? "}"',
    "array": '"[" ws (value ("," ws value)* ws)? "]"',
    "value": "object | array | string | number | boolean | null",
    "date": f'[0-9]{{4}} "-" ({MONTHS})',
    "time": f'{HOUR} ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{{1,6}})?'
    f' ("Z" | [-+] {HOUR} ":" [0-5] [0-9])',
    "date-time": 'date "T" time',
    "uuid": '[0-9a-fA-F]{8} ("-" [0-9a-fA-F]{4}){3} "-" [0-9a-fA-F]{12}',
}
NEEDS = {
    "string": ("char",),
    "number": ("integer",),
    "object": ("ws", "string", "value"),
    "array": ("ws", "value"),
    "value": ("object", "array", "string", "number", "boolean", "null"),
    "date-time": ("date", "time"),
}


def builtin(rules: Rules, name: str) -> str:
    """The name of one of these, with all that it needs."""
    if not rules.has(name):
        rules.define(name, BUILTINS[name])
        for needed in NEEDS.get(name, ()):
            builtin(rules, needed)
    return name


def json_literal(value: object) -> str:
    """A JSON value as it is."""
    return literal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def key(rules: Rules, name: str) -> str:
    """A property's name and its colon."""
    return f'{json_literal(name)} ":" {builtin(rules, "ws")}'


def listed(rules: Rules, item: str, least: int, most: int | None) -> str:
    """`least` to `most` items with commas between them; None: without a limit."""
    if most == 0:
        return '""'
    further = f'("," {builtin(rules, "ws")} {item})'
    low = max(least - 1, 0)
    if most == 1:
        text = item
    elif most is None:
        text = f"{item} {further}{{{low},}}"
    else:
        text = f"{item} {further}{{{low},{most - 1}}}"
    return f"({text})?" if least == 0 else text


def other_key(rules: Rules, names: Sequence[str]) -> str:
    """A string, quotes and all, that is none of `names`.

    A walk down the tree of the names: at each character the text goes on with the tree, or leaves
    it for good. Where it leaves, it does so with a character as it is: with an escape it could
    spell a name after all.
    """
    builtin(rules, "char")
    return f'"\\"" {_leaving(rules, sorted(set(names)), 0)} "\\""'


def _leaving(rules: Rules, names: Sequence[str], depth: int) -> str:
    """The rest of a string that begins as all of `names` do, up to `depth`."""
    ends_here = any(len(name) == depth for name in names)
    branches: dict[str, list[str]] = {}
    for name in names:
        if len(name) > depth:
            branches.setdefault(name[depth], []).append(name)
    others = STRING_CHARACTERS - Characters.of("".join(branches))
    ways = [f"{others.gbnf()} char*"]
    ways += [
        f"{literal(character)} {_leaving(rules, below, depth + 1)}"
        for character, below in branches.items()
        if character in STRING_CHARACTERS and character in ANY
    ]
    text = "(" + " | ".join(ways) + ")"
    return rules.add(text if ends_here else f"{text}?")
