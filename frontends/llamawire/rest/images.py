"""base64 as Go decodes it: the same texts are refused, at the same byte."""

from __future__ import annotations

import base64
import binascii

from . import gojson

__all__ = ["read_image"]

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_NEWLINES = b"\r\n"
_PAD = ord("=")

_as_string = gojson.string_of("api.ImageData")


def read_image(raw: bytes) -> bytes:
    """A leaf for an element of `images`."""
    text = _as_string(raw).encode()
    try:
        return base64.b64decode(text.translate(None, _NEWLINES), validate=True)
    except binascii.Error:
        place = _bad_byte(text)
        raise gojson.Postponed(f"illegal base64 data at input byte {place}") from None


def _bad_byte(text: bytes) -> int:
    """Where Go would stop: it reads four letters at a time and skips line ends."""
    at = 0
    while at < len(text):
        start, letters = at, 0
        while letters < 4:
            if at == len(text):
                # Newlines alone are a good end; otherwise the whole group is refused.
                return at - letters if letters else start
            byte = text[at]
            at += 1
            if byte in _ALPHABET:
                letters += 1
            elif byte not in _NEWLINES:
                return at - 1 if byte != _PAD else _bad_padding(text, at, letters)
    return at


def _bad_padding(text: bytes, at: int, letters: int) -> int:
    """`at` is behind the first `=`, which came after so many letters of its group."""
    if letters < 2:
        return at - 1
    if letters == 2:
        at = _skip_newlines(text, at)
        if at == len(text):
            return at
        if text[at] != _PAD:
            return at - 1
        at += 1
    return _skip_newlines(text, at)


def _skip_newlines(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _NEWLINES:
        at += 1
    return at
