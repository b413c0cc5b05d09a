"""The conditions of `trace --stress`: lines of the terminal, a section of the page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer

from devenv.core.model import Report
from devenv.render.cells import cell_width, clean, pad

SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "holds": ("✓", "green"),
    "slower": ("✓", "yellow"),
    "accepted": ("!", "yellow"),
    "wrong": ("✗", "red"),
    "error": ("✗", "red"),
    "not_run": ("-", "white"),
}
TONES: Final = {"green": "ok", "yellow": "warn", "red": "bad", "white": "idle"}


def stress_lines(body: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    """One line for each condition; the parts too when `verbose`."""
    found = body.get("stress")
    if not found:
        return
    conditions = found["conditions"]
    yield typer.style(f"under stress ({found['ms'] / 1000:.0f} s, on a copy of both stores)", bold=True)
    width = max((cell_width(one["name"]) for one in conditions), default=0)
    for one in conditions:
        sign, color = SIGNS[one["status"]]
        yield f"  {typer.style(sign, fg=color)} {pad(one['name'], width)}  {clean(one['text'])}"
        if verbose:
            yield f"    {one['title']}"
            yield from (f"    {part['part']}: {clean(part['text'])}" for part in one["parts"])


def listed_lines(report: Report) -> list[str] | None:
    """`--list` and `--explain`; None for any other report of trace."""
    if (listed := report.body.get("stress_conditions")) is not None:
        width = max(cell_width(one["name"]) for one in listed)
        return [f"{pad(one['name'], width)}  {one['title']}" for one in listed]
    if (one := report.body.get("stress_condition")) is not None:
        rows = (
            ("rule", one["rule"]),
            ("source", one["source"]),
            ("SDKs", one["sdk"]),
            ("tried", ", ".join(one["parts"])),
        )
        return [
            typer.style(f"{one['name']}: {one['title']}", bold=True),
            *(f"  {name:<7} {text}" for name, text in rows),
        ]
    return None


def stress_section(body: Mapping[str, Any]) -> Iterator[str]:
    """The section of the page."""
    found = body.get("stress")
    if not found:
        return
    yield '<section class="stress"><h2>Under stress</h2>'
    yield f"<p>{found['ms'] / 1000:.0f} s, on a copy of both stores</p><table>"
    for one in found["conditions"]:
        sign, color = SIGNS[one["status"]]
        cells = (sign, one["name"], one["text"], one["title"], f"{one['rule']} ({one['source']})")
        columns = "".join(f"<td>{html.escape(clean(str(cell)))}</td>" for cell in cells)
        yield f'<tr class="{TONES[color]}">{columns}</tr>'
    yield "</table></section>"
