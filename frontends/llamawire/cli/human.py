"""Sizes, counts and times for people."""

from __future__ import annotations

__all__ = ["count_text", "relative_text", "size_text"]

_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


def size_text(size_bytes: int) -> str:
    """Decimal units: `999 B`, `1.5 KB`, `4.7 GB`, `41 GB`."""
    for unit, name in _SIZES:
        if size_bytes >= unit:
            tenths = size_bytes * 10 // unit
            if tenths >= 100 or tenths % 10 == 0:
                return f"{tenths // 10} {name}"
            return f"{tenths // 10}.{tenths % 10} {name}"
    return f"{size_bytes} B"


def count_text(count: int) -> str:
    """Of parameters: `125M`, `500.50M`, `2.9B`."""
    if count >= 10**9:
        return f"{count / 10**9:.{1 if count % 10**9 else 0}f}B"
    if count >= 10**6:
        return f"{count / 10**6:.{2 if count % 10**6 else 0}f}M"
    return f"{count / 10**3:.0f}K" if count >= 10**3 else str(count)


def relative_text(seconds: float) -> str:
    """A time that lies so many seconds ahead, or back if negative: `4 minutes from now`."""
    return f"{_duration_text(abs(seconds))} {'from now' if seconds > 0 else 'ago'}"


def _duration_text(seconds: float) -> str:
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 60:
        return ("Less than a second", "1 second")[whole] if whole < 2 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{days // 365} years"
