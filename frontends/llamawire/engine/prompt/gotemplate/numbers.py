"""Go's number literals."""

import re
from typing import Final

__all__ = ["INTEGERS", "parse_number"]

INTEGERS: Final = range(-(2**63), 2**63)
"""What fits into Go's int."""

_UINTEGERS: Final = range(2**64)
_DIGITS_MAX: Final = 400  # Longer literals are read as floats: Python's int takes quadratic time.

_INTEGER: Final = re.compile(
    r"""(?P<sign>[+-]?)(?:
        0[xX](?P<hex>(?:_?[0-9a-fA-F])+)
      | 0[bB](?P<binary>(?:_?[01])+)
      | 0[oO]?(?P<octal>(?:_?[0-7])+)
      | (?P<decimal>0|[1-9](?:_?[0-9])*)
    )""",
    re.VERBOSE,
)
_BASES: Final = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_FLOAT: Final = re.compile(
    r"""[+-]?
    (?: [0-9](?:_?[0-9])* (?: \. (?:[0-9](?:_?[0-9])*)? )?
      | \. [0-9](?:_?[0-9])* )
    (?: [eE] [+-]? [0-9](?:_?[0-9])* )?""",
    re.VERBOSE,
)
_HEX_FLOAT: Final = re.compile(
    r"[+-]?0[xX](?:_?[0-9a-fA-F])*\.?(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*)?[pP][+-]?[0-9]+"
)


def parse_number(text: str) -> int | float | None:
    """The value of a literal: an int when it is written as one; None when it fits no int of Go's.

    ValueError, with Go's words, when it is no number.
    """
    match = _INTEGER.fullmatch(text) if len(text) <= _DIGITS_MAX else None
    if match:
        integer = _integer(match)
        if integer in INTEGERS:
            return integer
        if integer in _UINTEGERS and not match["sign"]:
            return None
    number = _float(text)
    if not re.search("[.eEpP]", text):
        raise ValueError(f'integer overflow: "{text}"')
    return number


def _integer(match: re.Match[str]) -> int:
    for name, base in _BASES.items():
        if digits := match[name]:
            return int(match["sign"] + digits.replace("_", ""), base)
    raise AssertionError(match)


def _float(text: str) -> float:
    try:
        if _HEX_FLOAT.fullmatch(text):
            number = float.fromhex(text.replace("_", ""))
        elif _FLOAT.fullmatch(text):
            number = float(text.replace("_", ""))
        else:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise ValueError(f'illegal number syntax: "{text}"') from None
    if number in (float("inf"), float("-inf")):
        raise ValueError(f'illegal number syntax: "{text}"')
    return number
