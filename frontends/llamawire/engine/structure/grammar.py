"""A grammar in GBNF, and the rules it is collected from."""

from __future__ import annotations

from dataclasses import dataclass

from llamawire.engine.structure.thinking import thinking_rules

__all__ = ["Grammar", "Rules"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """A text, and the name of the rule that is the whole answer."""

    text: str
    root: str = "root"
    frame: str = ""
    """GBNF, with a rule `root`, of what comes before the answer; it ends with a mark."""

    def after_thinking(self, opening: str, closing: str, *, is_open: bool) -> Grammar:
        """The same for a model that thinks first: what stands between the tags is free.

        `is_open`: the prompt has the opening tag already; otherwise the model may leave the
        thinking out.
        """
        rules, root = thinking_rules(opening, closing, self.root, is_open=is_open)
        return Grammar(f"{self.text}\n{rules}", root)

    def in_frame(self, frame: str) -> Grammar:
        """The same behind a text of that grammar; see `channel_frame`."""
        return Grammar(self.text, self.root, frame)


class Rules:
    """Rules under construction; equal ones are shared."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._count = 0

    def define(self, name: str, text: str) -> str:
        self._texts[name] = text
        return name

    def has(self, name: str) -> bool:
        return name in self._texts

    def add(self, text: str) -> str:
        """The name of a rule with this text."""
        if text not in self._names:
            self._names[text] = self.define(self.reserve(), text)
        return self._names[text]

    def reserve(self) -> str:
        """A name for a rule that is defined later."""
        self._count += 1
        return f"r{self._count}"

    def text(self) -> str:
        return "".join(f"{name} ::= {text}\n" for name, text in self._texts.items())
