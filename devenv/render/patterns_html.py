"""`patterns matrix` as one page: `templates/patterns.html`, in the style of `patterns_page.css`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.core.model import Report
from devenv.render.page import render_page
from devenv.render.patterns_text import figure, money

BAR: Final = 220
FIGURES: Final = ("average_bytes", "largest_bytes", "read_units", "write_units", "stored_bytes")
WORDS: Final = ("average bytes", "largest", "read units", "write units", "stored bytes")


def write_html(report: Report) -> str:
    """The page of a matrix report."""
    body = report.body
    kinds = list(dict.fromkeys(row["entity"] for row in body["entities"] if row["entity"]))
    layouts = [*body["layouts"], {**body["totals"], "pattern": "together"}]
    units = [row[each]["read_units"] for row in layouts for each in ("one_table", "table_per_entity")]
    return render_page(
        "patterns.html",
        "patterns_page.css",
        f"Access patterns of {report.project}",
        {
            "body": body,
            "conclusion": sentence(body["totals"]["conclusion"]),
            "kinds": kinds,
            "layouts": layouts,
            "most": max(units, default=1) or 1,
            "bar": BAR,
            "figures": FIGURES,
            "entity_heads": [
                ("", "entity"),
                *(("number", place["place"]) for place in body["places"]),
                *(("number", word) for word in WORDS),
                ("", "cost"),
            ],
            "pattern_heads": [
                *(("", word) for word in ("pattern", "operation", "table or index", *kinds)),
                *(("number", word) for word in ("items", "requests", "read units")),
                ("", "cost"),
            ],
        },
        filters={
            "figure": figure,
            "cost_cell": cost_cell,
            "each_cost": each_cost,
            "condition": lambda key: " and ".join(f"{name} = {value}" for name, value in key.items()),
            "width": lambda value, most: max(1, round(BAR * value / most)),
        },
    )


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def each_cost(cost: Mapping[str, Any]) -> str:
    """A million reads, writes, and items stored for a month."""
    each = (cost["million_reads"], cost["million_writes"], cost["million_stored_a_month"])
    return f"{' / '.join(money(amount, '').strip() for amount in each)} {cost['currency']}"


def cost_cell(cost: Mapping[str, Any]) -> str:
    """The cost of a month where the load is stated, else of a million requests."""
    if cost["per_month"] is None:
        return f"{money(cost['per_million_requests'], cost['currency'])} a million"
    return f"{money(cost['per_month'], cost['currency'])} a month"
