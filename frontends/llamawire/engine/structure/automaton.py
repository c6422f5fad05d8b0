"""Text up to a tag, as rules: a rule for each beginning of a tag that the text so far ends with."""

from __future__ import annotations

from collections.abc import Sequence

from llamawire.engine.structure.characters import ANY, Characters

__all__ = ["text_rules"]


def text_rules(name: str, closing: str, forbidden: Sequence[str] = ()) -> list[str]:
    """The rules `name-0` and so on of a text that ends with the first `closing`.

    An empty one: of a text that ends anywhere. None of the `forbidden` comes in it.
    """
    tags = [tag for tag in (closing, *forbidden) if tag]
    beginnings = list(dict.fromkeys(tag[:count] for tag in tags for count in range(len(tag))))
    numbers = {beginning: f"{name}-{index}" for index, beginning in enumerate(beginnings or [""])}
    return [
        f"{number} ::= {_step(text, numbers, closing, tags)}" for text, number in numbers.items()
    ]


def _step(text: str, numbers: dict[str, str], closing: str, tags: Sequence[str]) -> str:
    """What may come after a text that ends with this beginning of a tag."""
    ways: dict[str, str] = {}
    for character in dict.fromkeys("".join(tags)):
        reached = _longest(text + character, numbers, tags)
        ways[reached] = ways.get(reached, "") + character
    others = ANY - Characters.of("".join(found for reached, found in ways.items() if reached))
    alternatives = [f"{others.gbnf()} {numbers['']}"]
    for reached, found in ways.items():
        if reached and reached == closing:
            alternatives.append(Characters.of(found).gbnf())
        elif reached in numbers and reached:
            alternatives.append(f"{Characters.of(found).gbnf()} {numbers[reached]}")
    return " | ".join(alternatives if closing else ['""', *alternatives])


def _longest(text: str, numbers: dict[str, str], tags: Sequence[str]) -> str:
    """The longest end of the text that is a tag or begins one."""
    ends = (text[start:] for start in range(len(text)))
    return next((end for end in ends if end in numbers or end in tags), "")
