"""Parts of text output: widths, padded cells, tables (also of `db` and `ddb`), values of rows and items."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report

MARKS = {
    "running": ("●", "green"),
    "starting": ("●", "yellow"),
    "stopped": ("○", "white"),
    "crashed": ("✗", "red"),
    "foreign": ("✗", "red"),
}


def mark(kind: Mapping[str, tuple[str, str]], state: str) -> str:
    """The coloured sign of a state; its word always stands beside it."""
    sign, color = kind[state]
    return typer.style(sign, fg=color)


def rows_text(report: Report, verbose: bool) -> list[str]:
    """Rows of either store: a table, or one block per row when the table would be wider than the terminal."""
    body = report.body
    lines = [clean(note) for note in body.get("notes", [])]
    width = shutil.get_terminal_size((100, 24)).columns
    for columns, rows in kinds_of(body):
        lines += table(columns, rows, width)
    lines += [clean(each) for each in body.get("details", [])]
    return [*lines, body["summary"]]


def kinds_of(body: Mapping[str, Any]) -> list[tuple[Sequence[str], Sequence[Sequence[Any]]]]:
    """Rows by the attributes that they have, in the order of their first: no kind has columns of another one."""
    columns, rows = body["columns"], body["rows"]
    if not columns:
        return []
    if body.get("items") is None:
        return [(columns, rows)]
    found: dict[frozenset[str], list[Sequence[Any]]] = {}
    for item, row in zip(body["items"], rows, strict=True):
        found.setdefault(frozenset(item), []).append(row)
    return [
        (
            [column for column in columns if column in names],
            [[value for column, value in zip(columns, row, strict=True) if column in names] for row in group],
        )
        for names, group in found.items()
    ]


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Rows under their column names if they fit in `width` cells, else expanded like psql's `\\x auto`."""
    cells = [[show_value(value) for value in row] for row in rows]
    heads = [clean(column) for column in columns]
    widths = [max(map(cell_width, column)) for column in zip(heads, *cells, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) <= width:
        body = [" | ".join(pad(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in cells]
        return [" | ".join(map(pad, heads, widths)).rstrip(), "-+-".join("-" * wide for wide in widths), *body]
    wide = max(map(cell_width, heads))
    lines: list[str] = []
    for number, row in enumerate(cells, 1):
        lines += [f"-[ {number} ]".ljust(min(width, 40), "-")]
        lines += [f"{pad(head, wide)} | {cell}" for head, cell in zip(heads, row, strict=True)]
    return lines


def show_value(value: Any) -> str:
    """One value as text; null is empty like in psql, nested values are JSON."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def clean(text: str) -> str:
    """Control characters, those of the writing direction too, as escapes: stored data cannot steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_width() -> int:
    """Return how many cells a line may take: the terminal's, or any number where the reader is a program."""
    return shutil.get_terminal_size((10_000, 24)).columns


def cell_width(text: str) -> int:
    """Return how many terminal cells a text takes: East Asian wide characters and emoji take two."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """The text, filled with spaces to `width` cells."""
    return text + " " * (width - cell_width(text))
