"""The words of a Go template."""

from enum import Enum, auto
from typing import Final, NamedTuple

from llamawire.engine.prompt.gotemplate.quoting import quote

__all__ = ["KEYWORDS", "Kind", "Token"]


class Kind(Enum):
    """What sort of word it is."""

    ERROR = auto()  # the text of the error; nothing comes after it
    EOF = auto()
    TEXT = auto()  # plain text between actions
    LEFT_DELIM = auto()  # {{
    RIGHT_DELIM = auto()  # }}
    LEFT_PAREN = auto()
    RIGHT_PAREN = auto()
    SPACE = auto()  # matters: `.A .B` is two values, `.A.B` one
    PIPE = auto()  # |
    ASSIGN = auto()  # =
    DECLARE = auto()  # :=
    CHARACTER = auto()  # any other printable ASCII character, such as a comma
    DOT = auto()  # . alone
    FIELD = auto()  # .Name
    VARIABLE = auto()  # $ or $name
    IDENTIFIER = auto()  # the name of a function
    BOOL = auto()
    NIL = auto()
    NUMBER = auto()
    CHARACTER_CONSTANT = auto()  # 'x'
    STRING = auto()  # "x", with its quotes
    RAW_STRING = auto()  # `x`, with its quotes
    BLOCK = auto()  # this and the following are words with a meaning of their own
    BREAK = auto()
    CONTINUE = auto()
    DEFINE = auto()
    ELSE = auto()
    END = auto()
    IF = auto()
    RANGE = auto()
    TEMPLATE = auto()
    WITH = auto()


KEYWORDS: Final = {
    "block": Kind.BLOCK,
    "break": Kind.BREAK,
    "continue": Kind.CONTINUE,
    "define": Kind.DEFINE,
    "else": Kind.ELSE,
    "end": Kind.END,
    "if": Kind.IF,
    "range": Kind.RANGE,
    "template": Kind.TEMPLATE,
    "with": Kind.WITH,
    "nil": Kind.NIL,
    "true": Kind.BOOL,
    "false": Kind.BOOL,
}


class Token(NamedTuple):
    """One word, and where it stands."""

    kind: Kind
    position: int  # of its first character, counted from 0
    text: str
    line: int  # counted from 1

    def __str__(self) -> str:
        """As error messages name it."""
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind is Kind.DOT or KEYWORDS.get(self.text) is self.kind is not Kind.BOOL:
            return f"<{self.text}>"
        if len(self.text) > 10:
            return quote(self.text[:10]) + "..."
        return quote(self.text)
