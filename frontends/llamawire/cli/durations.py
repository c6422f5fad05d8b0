"""Durations in Go's notation, which is Ollama's."""

from __future__ import annotations

import re
from fractions import Fraction

from llamawire.cli.errors import CliError

__all__ = ["duration_text", "parse_duration_ns"]

_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-zµ]+)")
# What google.protobuf.Duration can hold is more; this is what Go can.
_NS_MAX = (1 << 63) - 1


def parse_duration_ns(text: str) -> int:
    """Nanoseconds of e.g. `5m`, `1h30m` or `-1s`. Raises CliError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    parts = _PART.findall(body)
    if body == "0":
        return 0
    if re.fullmatch(r"[0-9]+\.?[0-9]*", body):
        raise CliError(f'time: missing unit in duration "{text}"')
    if not parts or "".join(map("".join, parts)) != body or any(u not in _NS for _, u in parts):
        raise CliError(f'time: invalid duration "{text}"')
    total = sum(Fraction(number) * _NS[unit] for number, unit in parts)
    if total > _NS_MAX:
        raise CliError(f'time: invalid duration "{text}"')
    return -int(total) if text.startswith("-") else int(total)


def duration_text(nanoseconds: int) -> str:
    """As Go prints it: `1.234s`, `12.3ms`, `1m30.5s`."""
    if not nanoseconds:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, _NS["m"])
    seconds = f"{_decimal(rest, _NS['s'])}s"
    if not minutes:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".") if rest else str(whole)
