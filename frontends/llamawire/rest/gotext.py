"""Go's ways with text: quoting, and what becomes of bytes that are no UTF-8."""

from __future__ import annotations

import codecs
import json
import re

__all__ = ["quote", "quote_byte", "unquote_json"]

_QUOTED = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    "\\": r"\\",
}  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")


def quote(text: str) -> str:
    """`text` as Go's `%q` prints it."""
    return '"' + "".join(r"\"" if char == '"' else _quoted(char) for char in text) + '"'


def quote_byte(byte: int) -> str:
    """One byte as the JSON decoder names it in its errors: taken for a Latin-1 character."""
    char = chr(byte)
    return "'" + (r"\'" if char == "'" else _quoted(char)) + "'"


def _quoted(char: str) -> str:
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote_json(raw: bytes) -> str:
    """The text of a JSON string that is known to be well-formed, quotes included.

    Half of a surrogate pair and every byte that is no UTF-8 become U+FFFD, one for each byte.
    """
    text: str = json.loads(raw.decode("utf-8", "llamawire.byte"), strict=False)
    return _SURROGATE.sub("\ufffd", text)


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("llamawire.byte", _replace_each_byte)
