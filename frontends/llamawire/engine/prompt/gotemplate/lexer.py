"""Cuts the text of a Go template into words.

Outside of `{{` and `}}` there is one kind of word, text. Inside, `_WORDS` says what a word looks
like. `{{- ` and ` -}}` cut the white space off the text beside them. Each character is looked at a
fixed number of times, so that the time taken is linear in the length of the text.

A mistake is a word too, the last one: the parser reports it when it gets there, so that of two
mistakes the first is reported.
"""

import re
from collections.abc import Generator, Iterator
from typing import Final

from llamawire.engine.prompt.gotemplate.quoting import quote
from llamawire.engine.prompt.gotemplate.token import KEYWORDS, Kind, Token

__all__ = ["lex"]

_SPACES: Final = " \t\r\n"
_COMMENT_START: Final = "/*"
_COMMENT_END: Final = "*/"

_CLOSING: Final = re.compile(r"(?P<trim>[ \t\r\n]-)?\}\}")
_WORDS: Final = re.compile(
    r"""
    (?P<SPACE> [ \t\r\n] (?: [ \t\r\n] (?! -\}\} ) )* )
  | (?P<DECLARE> := )
  | (?P<ASSIGN> = )
  | (?P<PIPE> \| )
  | (?P<LEFT_PAREN> \( )
  | (?P<RIGHT_PAREN> \) )
  | (?P<STRING> " (?: [^"\\\n] | \\[^\n] )* (?P<string_end>")? )
  | (?P<RAW_STRING> ` [^`]* (?P<raw_string_end>`)? )
  | (?P<CHARACTER_CONSTANT> ' (?: [^'\\\n] | \\[^\n] )* (?P<constant_end>')? )
  | (?P<VARIABLE> \$ \w* )
  | (?P<NUMBER>
        [+-]? (?= [0-9] | \.[0-9] | (?<=[+-]) )
        (?: 0[xX] [0-9a-fA-F_]* (?: \. [0-9a-fA-F_]* )? (?: [pP] [+-]? [0-9_]* )?
          | 0[oO] [0-7_]* (?: \. [0-7_]* )?
          | 0[bB] [01_]* (?: \. [01_]* )?
          | [0-9_]* (?: \. [0-9_]* )? (?: [eE] [+-]? [0-9_]* )?
        ) i? )
  | (?P<FIELD> \. \w+ )
  | (?P<DOT> \. )
  | (?P<IDENTIFIER> \w+ )
  | (?P<CHARACTER> [!-~] )
    """,
    re.VERBOSE,
)
_UNTERMINATED: Final = {
    Kind.STRING: ("string_end", "unterminated quoted string"),
    Kind.RAW_STRING: ("raw_string_end", "unterminated raw quoted string"),
    Kind.CHARACTER_CONSTANT: ("constant_end", "unterminated character constant"),
}
_MAY_FOLLOW_A_NAME: Final = frozenset(" \t\r\n.,|:()")
_NAMES: Final = frozenset({Kind.IDENTIFIER, Kind.FIELD, Kind.VARIABLE, Kind.DOT})


def lex(source: str) -> Iterator[Token]:
    """The words of `source`; the last is of kind EOF or ERROR."""
    return _Lexer(source).tokens()


class _Mistake(Exception):
    pass


class _Lexer:
    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._counted = 0  # Up to here the lines have been counted.
        self._line = 1

    def tokens(self) -> Iterator[Token]:
        try:
            trim_start = False
            while (left := self._source.find("{{", self._position)) >= 0:
                trim_end = self._trims_before(left + 2)
                yield from self._text(left, trim_start, trim_end)
                self._position = left + 2 + (2 if trim_end else 0)
                if self._source.startswith(_COMMENT_START, self._position):
                    trim_start = self._skip_comment()
                else:
                    yield self._token(Kind.LEFT_DELIM, left, "{{")
                    trim_start = yield from self._action()
            yield from self._text(len(self._source), trim_start, False)
            yield self._token(Kind.EOF, len(self._source), "")
        except _Mistake as mistake:
            yield self._token(Kind.ERROR, self._position, str(mistake))

    def _text(self, end: int, trim_start: bool, trim_end: bool) -> Iterator[Token]:
        text = self._source[self._position : end]
        start = self._position
        if trim_start:
            text = text.lstrip(_SPACES)
            start = end - len(text)
        if trim_end:
            text = text.rstrip(_SPACES)
        if text:
            yield self._token(Kind.TEXT, start, text)

    def _trims_before(self, position: int) -> bool:
        """Whether the `{{` that ends here is a `{{- `."""
        source = self._source
        return source.startswith("-", position) and source[position + 1 : position + 2] in tuple(
            _SPACES
        )

    def _skip_comment(self) -> bool:
        end = self._source.find(_COMMENT_END, self._position)
        if end < 0:
            raise _Mistake("unclosed comment")
        closing = _CLOSING.match(self._source, end + len(_COMMENT_END))
        if closing is None:
            raise _Mistake("comment ends before closing delimiter")
        self._position = closing.end()
        return closing["trim"] is not None

    def _action(self) -> Generator[Token, None, bool]:
        """The words up to and with the `}}`; returns whether that one trims the text after it."""
        open_parens = 0
        while True:
            if closing := _CLOSING.match(self._source, self._position):
                if open_parens:
                    raise _Mistake("unclosed left paren")
                yield self._token(Kind.RIGHT_DELIM, closing.end() - 2, "}}")
                self._position = closing.end()
                return closing["trim"] is not None
            token = self._word()
            open_parens += (token.kind is Kind.LEFT_PAREN) - (token.kind is Kind.RIGHT_PAREN)
            if open_parens < 0:
                raise _Mistake("unexpected right paren")
            yield token
            self._position += len(token.text)

    def _word(self) -> Token:
        match = _WORDS.match(self._source, self._position)
        if match is None or match.lastgroup is None:
            raise self._no_word()
        kind = Kind[next(name for name in match.groupdict() if match[name] is not None)]
        text = match[0]
        if kind in _UNTERMINATED:
            ending, complaint = _UNTERMINATED[kind]
            if match[ending] is None:
                raise _Mistake(complaint)
        elif kind in _NAMES:
            self._check_end_of_name(match.end())
        elif kind is Kind.NUMBER:
            self._check_end_of_number(match)
        elif text == ":":
            raise _Mistake("expected :=")
        if kind is Kind.IDENTIFIER:
            kind = KEYWORDS.get(text, kind)
        elif kind is Kind.DOT and match.end() == len(self._source):
            kind = Kind.NUMBER  # As in Go, which reports it as a bad one.
        return self._token(kind, match.start(), text)

    def _no_word(self) -> _Mistake:
        if self._position == len(self._source):
            return _Mistake("unclosed action")
        character = _code_point(self._source[self._position])
        return _Mistake(f"unrecognized character in action: {character}")

    def _check_end_of_name(self, end: int) -> None:
        following = self._source[end : end + 1]
        may_follow = not following or following in _MAY_FOLLOW_A_NAME
        if not may_follow and not self._source.startswith("}}", end):
            raise _Mistake(f"bad character {_code_point(following)}")

    def _check_end_of_number(self, match: re.Match[str]) -> None:
        following = self._source[match.end() : match.end() + 1]
        if following == "_" or following.isalnum():
            raise _Mistake(f"bad number syntax: {quote(match[0] + following)}")
        if following and following in "+-":  # The beginning of a complex number: not for prompts.
            rest = _WORDS.match(self._source, match.end())
            raise _Mistake(f"bad number syntax: {quote(match[0] + (rest[0] if rest else ''))}")

    def _token(self, kind: Kind, position: int, text: str) -> Token:
        self._line += self._source.count("\n", self._counted, position)
        self._counted = position
        return Token(kind, position, text, self._line)


def _code_point(character: str) -> str:
    named = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{named}"
