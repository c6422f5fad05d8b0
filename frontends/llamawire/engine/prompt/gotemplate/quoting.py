"""Go's string literals, read and written, and Go's strings of bytes in Python's of characters.

A Go string is bytes, usually UTF-8 but not by law: a template can cut one inside a character. Here
such a byte is a lone surrogate, as Python's own `surrogateescape` makes it, until the finished text
is cleaned by `valid_text`.
"""

import re
from typing import Final

__all__ = [
    "from_bytes",
    "quote",
    "quote_character",
    "to_bytes",
    "unquote",
    "unquote_character",
    "valid_text",
]

_SHORT_ESCAPES: Final = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    "\\": b"\\",
}
_QUOTED: Final = {value.decode(): "\\" + letter for letter, value in _SHORT_ESCAPES.items()}

_ESCAPE: Final = re.compile(
    r"""\\(?:
        (?P<short>[abfnrtv\\'"])
      | (?P<octal>[0-7]{3})
      | x(?P<byte>[0-9a-fA-F]{2})
      | u(?P<four>[0-9a-fA-F]{4})
      | U(?P<eight>[0-9a-fA-F]{8})
      | (?P<bad>)
    )""",
    re.VERBOSE,
)
_SURROGATES: Final = range(0xD800, 0xE000)
_MAX_CHARACTER: Final = 0x10FFFF


def to_bytes(text: str) -> bytes:
    """The bytes of a string, as Go would hold them."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # Half of a surrogate pair, which UTF-8 cannot say.
        return valid_text(text).encode("utf-8")


def from_bytes(data: bytes) -> str:
    """The string of these bytes; `to_bytes` gives the same bytes back."""
    return data.decode("utf-8", "surrogateescape")


def valid_text(text: str) -> str:
    """`text` with U+FFFD for whatever no UTF-8 could say."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def quote(text: str) -> str:
    """The text as a Go string literal in double quotes."""
    return '"' + "".join(_quoted(character, '"') for character in text) + '"'


def quote_character(character: str) -> str:
    """The character as a Go literal in single quotes."""
    return "'" + _quoted(character, "'") + "'"


def unquote(literal: str) -> str:
    """What a Go string literal, with its quotes, stands for. ValueError when it is not one."""
    quotation, body = literal[0], literal[1:-1]
    if quotation == "`":
        return body.replace("\r", "")
    return from_bytes(_unescaped(body, quotation))


def unquote_character(literal: str) -> int:
    """The number of the character that a Go literal such as `'x'` stands for.

    ValueError, with Go's words, when it stands for none.
    """
    body = literal[1:-1]
    if not body:
        raise ValueError("invalid syntax")
    if escape := _ESCAPE.match(body):
        data, rest = _escaped_bytes(escape, "'"), body[escape.end() :]
        # A number of one byte is a character's number, not a part of its UTF-8.
        number = data[0] if escape["octal"] or escape["byte"] else ord(from_bytes(data))
    else:
        number, rest = ord(body[0]), body[1:]
    if rest:
        raise ValueError(f"malformed character constant: {literal}")
    return number


def _unescaped(body: str, quotation: str) -> bytes:
    parts = []
    end = 0
    for match in _ESCAPE.finditer(body):
        parts += [to_bytes(body[end : match.start()]), _escaped_bytes(match, quotation)]
        end = match.end()
    return b"".join([*parts, to_bytes(body[end:])])


def _escaped_bytes(match: re.Match[str], quotation: str) -> bytes:
    if match["bad"] is not None:
        raise ValueError("invalid syntax")
    if short := match["short"]:
        if short in "'\"" and short != quotation:
            raise ValueError("invalid syntax")
        return _SHORT_ESCAPES.get(short, short.encode())
    if match["octal"] or match["byte"]:
        return _one_byte(match)
    number = int(match["four"] or match["eight"], 16)
    if number in _SURROGATES or number > _MAX_CHARACTER:
        raise ValueError("invalid syntax")
    return chr(number).encode()


def _one_byte(match: re.Match[str]) -> bytes:
    number = int(match["octal"], 8) if match["octal"] else int(match["byte"], 16)
    if number > 0xFF:
        raise ValueError("invalid syntax")
    return bytes([number])


def _quoted(character: str, quotation: str) -> str:
    if character == quotation:
        return "\\" + character
    if character in _QUOTED:
        return _QUOTED[character]
    if character.isprintable():
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # A byte outside UTF-8: see the top of this file.
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
