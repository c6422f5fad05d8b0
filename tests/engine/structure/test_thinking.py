from __future__ import annotations

import re

from llamawire.engine.structure import Grammar


def matches(rules: str, text: str) -> bool:
    """Follows the automaton of the rules; true where it stands behind the closing tag."""
    steps = {}
    for line in rules.splitlines():
        if found := re.match(r"llamawire-thinking-(\d+) ::= (.*)", line):
            steps[int(found[1])] = re.findall(
                r"(\[[^ ]*\])(?: llamawire-thinking-(\d+))?", found[2]
            )
    state: int | None = 0
    for character in text:
        if state is None:
            return False
        reached = [
            int(to) if to else None
            for characters, to in steps[state]
            if re.fullmatch(characters.replace("\\U0010FFFF", "\U0010ffff"), character)
        ]
        assert len(reached) == 1, (state, character)
        state = reached[0]
    return state is None


def test_thinking_ends_with_the_first_closing_tag() -> None:
    for closing in ("</think>", "aab", "abab", "x"):
        rules = Grammar('root ::= "y"').after_thinking("<think>", closing, is_open=True).text
        for text in (
            "",
            "aa",
            "abab",
            "aaab",
            "xx",
            "a</think>",
            "<</think>",
            "</th</think>",
            "ab",
        ):
            first = text.find(closing)
            is_end = first >= 0 and first + len(closing) == len(text)
            if first < 0 or is_end:
                assert matches(rules, text) == is_end, (closing, text)


def test_the_thinking_may_be_left_out_unless_the_prompt_has_begun_it() -> None:
    grammar = Grammar('root ::= "y"')
    assert ")? root\n" in grammar.after_thinking("<t>", "</t>", is_open=False).text
    assert ")? root\n" not in grammar.after_thinking("<t>", "</t>", is_open=True).text
    assert grammar.after_thinking("<t>", "</t>", is_open=True).root != "root"
