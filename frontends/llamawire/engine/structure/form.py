"""What a request's `format` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llamawire.engine.structure.grammar import Grammar
from llamawire.engine.structure.json_schema import json_grammar, schema_grammar
from llamawire.engine.structure.regex import regex_grammar

__all__ = ["Form"]


@dataclass(frozen=True, slots=True)
class Form:
    """A form and how it is written: a schema, a grammar or a regular expression."""

    kind: Literal["json", "json_schema", "grammar", "regex"]
    text: str = ""

    def grammar(self) -> Grammar:
        """The form as a grammar. InvalidArgument, reason INVALID_FORMAT, says what cannot be."""
        if self.kind == "json":
            return json_grammar()
        if self.kind == "json_schema":
            return schema_grammar(self.text)
        if self.kind == "regex":
            return regex_grammar(self.text)
        return Grammar(self.text)
