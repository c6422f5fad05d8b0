"""JSON as Go's standard library reads and writes it.

msgspec cuts a body into its members without building them, and each member that is known is decoded
by a function of its own, a `Leaf`. Only what msgspec refuses goes through `goscan`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import msgspec

from .goscan import DecodeError, scan
from .gotext import unquote_json

__all__ = [
    "DecodeError",
    "Leaf",
    "Mismatch",
    "Postponed",
    "array",
    "boolean",
    "decode",
    "depth",
    "elements",
    "encode",
    "encode_sorted",
    "integer",
    "integers",
    "kind",
    "members",
    "nested",
    "number",
    "obj",
    "raw_text",
    "string",
    "string_of",
]

# Decodes one value as it stands in the body; raises Postponed, or DecodeError to stop at once.
Leaf: TypeAlias = Callable[[bytes], object]

_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_INTS = msgspec.json.Decoder(list[int])
_NUMBER = msgspec.json.Decoder(float)
_INTEGER_TEXT = re.compile(rb"-?[0-9]+")
_BRACKET_OR_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_SEPARATOR = re.compile(rb"[ \t\r\n,]*")
_INT64 = range(-(1 << 63), 1 << 63)
_KINDS = {ord('"'): "string", ord("t"): "bool", ord("f"): "bool", ord("["): "array",
          ord("{"): "object", ord("n"): "null"}  # fmt: skip

_UNSAFE = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]")
_UNSAFE_FIRSTS = (b"<", b">", b"&", b"\xe2\x80")
_UNSAFE_ESCAPES = {
    b"<": rb"\u003c", b">": rb"\u003e", b"&": rb"\u0026",
    b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029",
}  # fmt: skip
_ENCODER = msgspec.json.Encoder()
_SORTING_ENCODER = msgspec.json.Encoder(order="sorted")


class Postponed(Exception):
    """A member is wrong, but the rest of the body is looked at before that is said."""

    def message(self, struct: str, name: str) -> str:
        """The error for member `name` of the Go struct `struct`."""
        return str(self)


class Mismatch(Postponed):
    """A value of one kind stands where another is expected.

    `struct` is the innermost Go struct around it, if that is not the body's own.
    """

    def __init__(
        self, found: str, expected: str, path: str = "", struct: str | None = None
    ) -> None:
        super().__init__(found, expected, path, struct)
        self.found, self.expected, self.path, self.struct = found, expected, path, struct

    def message(self, struct: str, name: str) -> str:
        innermost = struct if self.struct is None else self.struct
        return (
            f"json: cannot unmarshal {self.found} into Go struct field "
            f"{innermost}.{name}{self.path} of type {self.expected}"
        )


def encode(value: object) -> bytes:
    """Compact JSON with Go's escapes. `value` holds no floats: Go would write 1.0 as 1."""
    return _escaped(_ENCODER.encode(value))


def encode_sorted(value: object) -> bytes:
    """The same, keys in the order of their bytes: what Go makes of maps."""
    return _escaped(_SORTING_ENCODER.encode(value))


def _escaped(text: bytes) -> bytes:
    # A search for single bytes is many times quicker than the pattern, and finds nothing as a rule.
    if any(first in text for first in _UNSAFE_FIRSTS):
        return _UNSAFE.sub(_escape, text)
    return text


def _escape(match: re.Match[bytes]) -> bytes:
    return _UNSAFE_ESCAPES[match[0]]


def decode(
    body: bytes, struct: str, leaves: Mapping[str, Leaf], package: str = "api"
) -> dict[str, object]:
    """The members of `body` that `leaves` knows, decoded; null is as good as absent.

    Keys match in any letter case and the last of several wins, as in Go. Of several wrong values
    the first one in the text is reported, unless a leaf stops with a DecodeError.
    """
    values, wrong = _read(_body_members(body, f"{package}.{struct}", leaves), leaves)
    if wrong:
        name, error = wrong
        raise DecodeError(error.message(struct, name))
    return values


def nested(
    raw: bytes, go_type: str, leaves: Mapping[str, Leaf], struct: str | None = None
) -> dict[str, object]:
    """An object within a body, read as a struct of its own.

    Go names the innermost struct in its errors, unless the type decodes itself: `struct` is that
    name.
    """
    if raw[0] != ord("{"):
        raise Mismatch(kind(raw), go_type)
    values, wrong = _read(members(raw), leaves)
    if wrong:
        name, error = wrong
        if isinstance(error, Mismatch):
            innermost = struct if error.struct is None else error.struct
            raise Mismatch(error.found, error.expected, f".{name}{error.path}", innermost)
        raise error
    return values


def _read(
    pairs: Iterable[tuple[str, bytes]], leaves: Mapping[str, Leaf]
) -> tuple[dict[str, object], tuple[str, Postponed] | None]:
    values: dict[str, object] = {}
    wrong: tuple[str, Postponed] | None = None
    for key, raw in pairs:
        name = key if key in leaves else _fold(key)
        if name not in leaves or raw == b"null":
            continue
        try:
            values[name] = leaves[name](raw)
        except Postponed as error:
            wrong = wrong or (name, error)
    return values, wrong


def _body_members(body: bytes, go_type: str, known: Collection[str]) -> list[tuple[str, bytes]]:
    try:
        fast = _MEMBERS.decode(body)
    except _REFUSED:
        pass
    else:
        # Two spellings of one name: only the scanner knows which came last.
        if all(key in known or _fold(key) not in known for key in fast):
            return [(key, bytes(raw)) for key, raw in fast.items()]
    start, end, found = scan(body)
    value = body[start:end]
    if value[:1] != b"{" and value != b"null":
        raise DecodeError(f"json: cannot unmarshal {kind(value)} into Go value of type {go_type}")
    return found


def _fold(key: str) -> str:
    """As Go compares keys: these two letters are the only foreign ones that fold into ASCII."""
    return key.replace("\u017f", "s").replace("\u212a", "k").lower()


def kind(raw: bytes) -> str:
    """Go's word for the kind of a value."""
    return _KINDS.get(raw[0], "number")


def depth(raw: bytes) -> int:
    """Levels of brackets in a value within a body that has been decoded or scanned."""
    here = deepest = 0
    for found in _BRACKET_OR_STRING.finditer(raw):
        if found[0] in (b"{", b"["):
            here += 1
            deepest = max(deepest, here)
        elif found[0] in (b"}", b"]"):
            here -= 1
    return deepest


def members(raw: bytes) -> list[tuple[str, bytes]]:
    """The members of an object within a body that has been decoded or scanned."""
    try:
        return [(key, bytes(value)) for key, value in _MEMBERS.decode(raw).items()]
    except _REFUSED:
        return scan(raw)[2]


def elements(raw: bytes) -> list[bytes]:
    """The elements of an array within a body that has been decoded or scanned."""
    try:
        return [bytes(value) for value in _ELEMENTS.decode(raw)]
    except _REFUSED:
        return _scan_elements(raw)


def _scan_elements(raw: bytes) -> list[bytes]:
    found: list[bytes] = []
    separator = _SEPARATOR.match(raw, 1)
    while separator and raw[separator.end()] != ord("]"):
        start, end, _ = scan(raw, separator.end())
        found.append(raw[start:end])
        separator = _SEPARATOR.match(raw, end)
    return found


def string(raw: bytes) -> str:
    return string_of("string")(raw)


def string_of(go_type: str) -> Callable[[bytes], str]:
    """A leaf for a string that Go reads into a type of this name."""

    def leaf(raw: bytes) -> str:
        if raw[0] != ord('"'):
            raise Mismatch(kind(raw), go_type)
        try:
            return _STRING.decode(raw)
        except _REFUSED:
            return unquote_json(raw)

    return leaf


def boolean(raw: bytes) -> bool:
    if kind(raw) != "bool":
        raise Mismatch(kind(raw), "bool")
    return raw == b"true"


def integer(raw: bytes) -> int:
    """A number without point or exponent; Go takes no other for an int."""
    if kind(raw) != "number":
        raise Mismatch(kind(raw), "int")
    if not _INTEGER_TEXT.fullmatch(raw) or len(raw) > 20 or int(raw) not in _INT64:
        raise Mismatch(f"number {raw.decode()}", "int")
    return int(raw)


def number(raw: bytes) -> float | int:
    """Any number; one written as an integer stays one."""
    if kind(raw) != "number":
        raise Mismatch(kind(raw), "float64")
    try:
        value = _NUMBER.decode(raw)
    except _REFUSED:
        raise Mismatch(f"number {raw.decode()}", "float64") from None
    return int(raw) if _INTEGER_TEXT.fullmatch(raw) and len(raw) <= 20 else value


def obj(raw: bytes) -> list[tuple[str, bytes]]:
    """An object that Go reads into a map."""
    if raw[0] != ord("{"):
        raise Mismatch(kind(raw), "map[string]interface {}")
    return members(raw)


def array(raw: bytes, go_type: str) -> list[bytes]:
    if raw[0] != ord("["):
        raise Mismatch(kind(raw), go_type)
    return elements(raw)


def integers(raw: bytes) -> list[int]:
    """A list of integers. A context has thousands: all of them at once, if they are plain."""
    if raw[0] == ord("[") and not re.search(rb"[.eEn]", raw):
        try:
            values = _INTS.decode(raw)
        except _REFUSED:
            pass
        else:
            if all(value in _INT64 for value in values):
                return values
    return [0 if item == b"null" else integer(item) for item in array(raw, "[]int")]


def raw_text(raw: bytes) -> bytes:
    """The value as it is written."""
    return raw
