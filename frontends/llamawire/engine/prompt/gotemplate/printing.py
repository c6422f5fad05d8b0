"""How values print: Go's fmt, as `{{ value }}`, `print`, `println` and `printf` use it."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from llamawire.engine.prompt.gotemplate.gojson import encode_json
from llamawire.engine.prompt.gotemplate.quoting import (
    from_bytes,
    quote,
    quote_character,
    to_bytes,
)
from llamawire.engine.prompt.gotemplate.values import (
    NO_VALUE,
    Struct,
    is_slice,
    prints_json,
    type_name,
)

__all__ = ["sprint", "sprintf", "sprintln", "text_of"]

_WIDTH_MAX: Final = 1_000_000  # Go's own limit; wider directives are reported as bad.
_MAX_CHARACTER: Final = 0x10FFFF

_DIRECTIVE: Final = re.compile(
    r"""%(?P<flags>[+\-\#\ 0]*)
        (?P<width>[0-9]+|\*)?
        (?:(?P<point>\.)(?P<precision>[0-9]+|\*)?)?
        (?P<verb>.)?""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class _Directive:
    """One `%…` of a format, its `*` already replaced by numbers."""

    flags: str = ""
    width: int = 0
    """Negative to stand at the left of it."""

    precision: int | None = None
    verb: str = "v"

    def has(self, flag: str) -> bool:
        return flag in self.flags

    @property
    def is_left(self) -> bool:
        return self.has("-") or self.width < 0

    @property
    def has_zeros(self) -> bool:
        return self.has("0") and not self.is_left

    def padded(self, text: str) -> str:
        if self.is_left:
            return text.ljust(abs(self.width))
        return text.rjust(self.width, "0" if self.has_zeros else " ")

    def padded_number(self, sign: str, digits: str) -> str:
        """Zeros go between the sign and the digits."""
        if self.has_zeros:
            return sign + digits.rjust(self.width - len(sign), "0")
        return self.padded(sign + digits)

    def without_zeros(self) -> "_Directive":
        return replace(self, flags=self.flags.replace("0", ""))


_PLAIN: Final = _Directive()


def text_of(value: object) -> str:
    """The value as `{{ value }}` prints it."""
    if isinstance(value, str):
        return value
    if value is None or value is NO_VALUE:
        return "<no value>"
    if isinstance(value, Struct) and value.is_pointer:
        value = replace(value, is_pointer=False)
    return _formatted(value, _PLAIN, 0)


def sprint(arguments: Sequence[object]) -> str:
    """Go's Sprint: a space between two values when neither is a string."""
    parts: list[str] = []
    for index, argument in enumerate(arguments):
        if index and not isinstance(argument, str) and not isinstance(arguments[index - 1], str):
            parts.append(" ")
        parts.append(_formatted(argument, _PLAIN, 0))
    return "".join(parts)


def sprintln(arguments: Sequence[object]) -> str:
    """Go's Sprintln: spaces between all values, and a newline."""
    return " ".join(_formatted(argument, _PLAIN, 0) for argument in arguments) + "\n"


def sprintf(format_: str, arguments: Sequence[object], pay: Callable[[int], None]) -> str:
    """Go's Sprintf, without explicit argument indexes (`%[1]d`).

    `pay` is told of the length of each piece as it comes, and may raise to stop.
    """
    parts: list[str] = []
    for part in _pieces(format_, iter(arguments)):
        pay(len(part))
        parts.append(part)
    return "".join(parts)


def _pieces(format_: str, arguments: Iterator[object]) -> Iterator[str]:
    end = 0
    for match in _DIRECTIVE.finditer(format_):
        yield format_[end : match.start()]
        end = match.end()
        yield from _directive_pieces(match, arguments)
    yield format_[end:]
    extra = [_extra(argument) for argument in arguments]
    if extra:
        yield f"%!(EXTRA {', '.join(extra)})"


def _directive_pieces(match: re.Match[str], arguments: Iterator[object]) -> Iterator[str]:
    width, width_is_bad = _number(match["width"], arguments)
    precision, precision_is_bad = _number(match["precision"], arguments)
    if width_is_bad:
        yield "%!(BADWIDTH)"
    if precision_is_bad or (precision or 0) < 0:
        yield "%!(BADPREC)" if precision_is_bad else ""
        precision = None
    elif match["point"] and precision is None:
        precision = 0
    verb = match["verb"]
    if verb is None:
        yield "%!(NOVERB)"
    elif verb == "%":
        yield "%"
    else:
        missing = object()
        argument = next(arguments, missing)
        if argument is missing:
            yield f"%!{verb}(MISSING)"
        else:
            yield _formatted(argument, _Directive(match["flags"], width or 0, precision, verb), 0)


def _number(text: str | None, arguments: Iterator[object]) -> tuple[int | None, bool]:
    """A width or precision, and whether there should be one but is none."""
    if text is None:
        return None, False
    if text != "*":
        number = int(text) if len(text) <= len(str(_WIDTH_MAX)) else _WIDTH_MAX + 1
        return (number, False) if number <= _WIDTH_MAX else (None, True)
    argument = next(arguments, None)
    if type(argument) is int and abs(argument) <= _WIDTH_MAX:
        return argument, False
    return None, True


def _extra(argument: object) -> str:
    if argument is None:
        return "<nil>"
    return f"{type_name(argument)}={_formatted(argument, _PLAIN, 0)}"


# One value.


def _formatted(value: object, directive: _Directive, depth: int) -> str:
    verb = directive.verb
    if verb == "T":
        return directive.padded("<nil>" if value is None else type_name(value))
    if value is None or value is NO_VALUE:
        return directive.padded("<nil>") if verb == "v" or depth else f"%!{verb}(<nil>)"
    if prints_json(value) and verb in "vsxXq":
        return _string(encode_json(value), directive)
    match value:
        case bool():
            return directive.padded(str(value).lower()) if verb in "tv" else _bad(value, directive)
        case str():
            return _string(value, directive) if verb in "vsxXq" else _bad(value, directive)
        case int():
            return _integer(value, directive)
        case float():
            return _float(value, directive)
        case bytes() if verb in "sxXq":
            return _string(from_bytes(value), directive)
    return _container(value, directive, depth)


def _bad(value: object, directive: _Directive) -> str:
    text = _formatted(value, replace(directive, verb="v"), 0)
    return f"%!{directive.verb}({type_name(value)}={text})"


def _container(value: object, directive: _Directive, depth: int) -> str:
    match value:
        case Struct():
            if value.is_pointer and depth:
                return "0xc000000000"  # Go prints an address; nobody can depend on it.
            inner = [_formatted(field, directive, depth + 1) for field in value.fields.values()]
            return ("&{" if value.is_pointer else "{") + " ".join(inner) + "}"
        case dict():
            pairs = [
                f"{_formatted(key, directive, depth + 1)}:{_formatted(item, directive, depth + 1)}"
                for key, item in sorted(value.items())
            ]
            return f"map[{' '.join(pairs)}]"
    if is_slice(value):
        return f"[{' '.join(_formatted(item, directive, depth + 1) for item in value)}]"
    return str(value)


def _string(text: str, directive: _Directive) -> str:
    verb, precision = directive.verb, directive.precision
    if verb in "xX":
        data = to_bytes(text)[:precision]
        digits = data.hex(" ") if directive.has(" ") else data.hex()
        if directive.has("#") and data:
            digits = "0x" + digits.replace(" ", " 0x")
        return directive.padded(digits.upper() if verb == "X" else digits)
    if precision is not None:
        text = text[:precision]
    if verb == "q" or (verb == "v" and directive.has("#")):
        if verb == "q" and directive.has("#") and "`" not in text and text.isprintable():
            return directive.padded(f"`{text}`")
        text = quote(text)
    return directive.padded(text)


_BASES: Final = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES: Final = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}


def _integer(number: int, directive: _Directive) -> str:
    verb = directive.verb
    if verb in "cqU":
        return _character(number, directive)
    if verb not in _BASES:
        return _bad(number, directive)
    digits = format(abs(number), _BASES[verb])
    if directive.precision is not None:
        digits = digits.rjust(directive.precision, "0")
        if directive.precision == 0 and number == 0:
            return " " * abs(directive.width)
        directive = directive.without_zeros()
    if verb == "O":
        digits = "0o" + digits
    elif directive.has("#"):
        digits = _PREFIXES.get(verb, "") + digits
    return directive.padded_number(_sign(number < 0, directive), digits)


def _character(number: int, directive: _Directive) -> str:
    is_character = 0 <= number <= _MAX_CHARACTER and not 0xD800 <= number < 0xE000
    character = chr(number) if is_character else "\ufffd"
    if directive.verb == "c":
        return directive.padded(character)
    if directive.verb == "q":
        return directive.padded(quote_character(character))
    named = f" '{character}'" if directive.has("#") and character.isprintable() else ""
    return directive.padded(f"U+{number:04X}{named}")


def _sign(is_negative: bool, directive: _Directive) -> str:
    if is_negative:
        return "-"
    return "+" if directive.has("+") else " " if directive.has(" ") else ""


def _float(number: float, directive: _Directive) -> str:
    verb = directive.verb
    if verb not in "veEfFgG":
        return _bad(number, directive)
    sign = _sign(math.copysign(1, number) < 0, directive)
    if not math.isfinite(number):
        text = "NaN" if math.isnan(number) else (sign or "+") + "Inf"
        return directive.without_zeros().padded(text)
    magnitude = abs(number)
    if directive.precision is None and verb in "vgG":
        digits = _shortest(magnitude)
    else:
        precision = 6 if directive.precision is None else directive.precision
        style = "g" if verb == "v" else verb
        digits = f"{magnitude:{'#' if directive.has('#') else ''}.{precision}{style}}"
    return directive.padded_number(sign, digits.upper() if verb in "EG" else digits)


def _shortest(magnitude: float) -> str:
    """The fewest digits that say this number; with an exponent below 1e-4 and from 1e6."""
    mantissa, _, exponent = f"{Decimal(repr(magnitude)).normalize():e}".partition("e")
    power = int(exponent)
    if magnitude and (power < -4 or power >= 6):
        return f"{mantissa}e{power:+03d}"
    return format(Decimal(repr(magnitude)), "f").removesuffix(".0")
