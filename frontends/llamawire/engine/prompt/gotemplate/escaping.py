"""The functions `html`, `js` and `urlquery`: text made safe for other languages."""

from typing import Final
from urllib.parse import quote_plus

from llamawire.engine.prompt.gotemplate.quoting import to_bytes

__all__ = ["escape_html", "escape_js", "escape_query"]

_HTML: Final = str.maketrans(
    {
        '"': "&#34;",
        "'": "&#39;",
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "\0": "\ufffd",
    }
)
_JS: Final = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def escape_html(text: str) -> str:
    """For the text of an HTML document."""
    return text.translate(_HTML)


def escape_js(text: str) -> str:
    """For a string of JavaScript."""
    return "".join(_escaped_for_js(character) for character in text)


def escape_query(text: str) -> str:
    """For a value in the query of a URL."""
    return quote_plus(to_bytes(text), safe="~")


def _escaped_for_js(character: str) -> str:
    if character in _JS:
        return _JS[character]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04X}"
