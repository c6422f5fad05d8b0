"""Text in columns: left-aligned, four spaces apart, no lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

__all__ = ["format_rows", "format_table"]

GAP = "    "


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A header and its rows, as Ollama prints them to the last space."""
    widths = _widths([header, *rows])
    return GAP.join(_padded(header, widths)) + " \n" + _lines(rows, widths)


def format_rows(rows: Sequence[Sequence[str]]) -> str:
    """Rows without a header; shorter ones are filled up."""
    return _lines(rows, _widths(rows))


def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    return "".join(GAP.join(_padded(row, widths)) + GAP + "\n" for row in rows)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    count = max(map(len, rows), default=0)
    return [max(cell_len(row[i]) for row in rows if i < len(row)) for i in range(count)]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [*row, *[""] * (len(widths) - len(row))]
    return [
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
