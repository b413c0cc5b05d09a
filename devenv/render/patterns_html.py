"""`patterns matrix` as one page: no network, no script, everything escaped. The style is `patterns_page.css`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from devenv import __version__
from devenv.core.model import Report
from devenv.render.patterns_text import figure, money
from devenv.render.trace_html import text

BAR: Final = 220


def write_html(report: Report) -> str:
    """The page of a matrix report."""
    body = report.body
    style = resources.files(__package__).joinpath("patterns_page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    title = f"Access patterns of {report.project}"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        f"<title>{text(title)}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{text(title)}</h1>",
        '<p class="dim">Which entity lies where, which pattern reads what, what that costs, on the data at hand.</p>',
        "</header>",
        "<main>",
        f'<section class="conclusion"><p>{text(sentence(body["totals"]["conclusion"]))}</p></section>',
        *entities(body),
        *patterns(body),
        *layouts(body),
        *places(body),
        "</main>",
        f"<footer>devenv {text(__version__)}. Sizes and units by DynamoDB's published rules; prices as stated in "
        "devenv.toml.</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def grid(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[tuple[str, str]]]) -> Iterator[str]:
    """A table of (class, escaped content); the first cell of a row is its head."""
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f'<th scope="col" class="{kind}">{content}</th>' for kind, content in heads)
    yield "</tr></thead><tbody>"
    for first, *others in rows:
        cells = "".join(f'<td class="{kind}">{content}</td>' for kind, content in others)
        yield f'<tr><th scope="row" class="{first[0]}">{first[1]}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def cell(value: Any) -> tuple[str, str]:
    """A value as a cell; numbers to the right."""
    if isinstance(value, int | float):
        return "number", text(f"{figure(value):,}")
    return "", text("" if value is None else value)


def mark(there: bool, word: str) -> tuple[str, str]:
    """A cell that says whether; with a word for those who do not see colours."""
    return ("yes", f'<span title="{text(word)}">●</span>') if there else ("no", "·")


def entities(body: Mapping[str, Any]) -> Iterator[str]:
    """Entities against tables and indexes, and what one item costs."""
    names = [place["place"] for place in body["places"]]
    yield '<section aria-labelledby="entities"><h2 id="entities">Entities and keys</h2>'
    yield '<p class="dim">How many items of each entity every table and index holds. Read: one GetItem, eventually '
    yield "consistent. Write: one new item, with its copies in the indexes. Stored: with 100 bytes for each copy. "
    yield "Cost: of a million reads, writes, and items stored for a month.</p>"
    heads = [("", "entity"), *(("number", text(name)) for name in names)]
    heads += [("number", word) for word in ("average bytes", "largest", "read units", "write units", "stored bytes")]
    heads.append(("", "cost"))
    rows = []
    for row in body["entities"]:
        cost = row["cost"]
        each = (cost["million_reads"], cost["million_writes"], cost["million_stored_a_month"])
        costs = " / ".join(money(amount, "").strip() for amount in each)
        figures = [
            row[name] for name in ("average_bytes", "largest_bytes", "read_units", "write_units", "stored_bytes")
        ]
        held = [cell(row["places"][name]) if name in row["places"] else ("no", "·") for name in names]
        rows.append(
            [
                ("", text(row["entity"] or "(undeclared)")),
                *held,
                *map(cell, figures),
                ("", text(f"{costs} {cost['currency']}")),
            ]
        )
    yield from grid(heads, rows)
    yield "</section>"


def patterns(body: Mapping[str, Any]) -> Iterator[str]:
    """Patterns against entities."""
    kinds = list(dict.fromkeys(row["entity"] for row in body["entities"] if row["entity"]))
    yield '<section aria-labelledby="patterns"><h2 id="patterns">Patterns</h2>'
    heads = [("", "pattern"), ("", "amounts to"), ("", "of"), *(("", text(kind)) for kind in kinds)]
    heads += [("number", "items"), ("number", "requests"), ("number", "read units"), ("", "cost")]
    rows = []
    for row in body["patterns"]:
        key = " and ".join(f"{name} = {value}" for name, value in row["key"].items())
        where = f"{text(row['place'] or '-')}<br><code>{text(key)}</code>"
        name = text(row["pattern"]) + (f'<br><span class="dim">{text(row["purpose"])}</span>' if row["purpose"] else "")
        reads = [mark(kind in row["entities"], f"{row['pattern']} reads {kind}") for kind in kinds]
        cost = text(cost_cell(row["cost"])) if row["cost"] else "not run"
        figures = [cell(row[each]) for each in ("items", "requests", "read_units")]
        rows.append([("", name), ("", text(row["amounts_to"])), ("", where), *reads, *figures, ("", cost)])
    yield from grid(heads, rows)
    yield "</section>"


def cost_cell(cost: Mapping[str, Any]) -> str:
    """The cost of a month where the load is stated, else of a million requests."""
    if cost["per_month"] is None:
        return f"{money(cost['per_million_requests'], cost['currency'])} a million"
    return f"{money(cost['per_month'], cost['currency'])} a month"


def layouts(body: Mapping[str, Any]) -> Iterator[str]:
    """One table against a table per entity."""
    yield '<section aria-labelledby="layouts"><h2 id="layouts">One table, or a table per entity</h2>'
    yield '<p class="dim">Each pattern once, with the parameters that have most to read: <span class="key">one table'
    yield '</span> as it is, and <span class="key other">a table per entity</span> with the same keys.</p>'
    heads = [("", "pattern"), ("number", "requests"), ("number", "read units"), ("number", "bytes"), ("", "read units")]
    rows = []
    everything = [*body["layouts"], {**body["totals"], "pattern": "together"}]
    most = max((row[each]["read_units"] for row in everything for each in ("one_table", "table_per_entity")), default=1)
    for row in everything:
        one, many = row["one_table"], row["table_per_entity"]
        pairs = [
            ("number", f"{text(figure(one[name]))}<br>{text(figure(many[name]))}")
            for name in ("requests", "read_units", "bytes")
        ]
        rows.append([("", text(row["pattern"])), *pairs, ("", bars(one["read_units"], many["read_units"], most or 1))])
    yield from grid(heads, rows)
    yield "</section>"


def bars(one: float, many: float, most: float) -> str:
    """Two bars below each other; the numbers stand beside them in the table."""
    widths = [max(1, round(BAR * each / most)) for each in (one, many)]
    return (
        f'<svg width="{BAR}" height="36" role="img" aria-label="{figure(one)} and {figure(many)} read units">'
        f'<rect class="bar" x="0" y="4" width="{widths[0]}" height="12" rx="2"></rect>'
        f'<rect class="bar other" x="0" y="22" width="{widths[1]}" height="12" rx="2"></rect></svg>'
    )


def places(body: Mapping[str, Any]) -> Iterator[str]:
    """Tables and indexes with their keys."""
    yield '<section aria-labelledby="places"><h2 id="places">Tables and indexes</h2>'
    words = ("table or index", "kind", "partition key", "sort key", "projection", "items", "bytes")
    heads = [("number" if word in ("items", "bytes") else "", word) for word in words]
    rows = []
    for row in body["places"]:
        held = row["projection"] if isinstance(row["projection"], str) else ", ".join(row["projection"])
        values = [
            row["place"],
            row["kind"],
            row["partition_key"],
            row["sort_key"] or "-",
            held,
            row["items"],
            row["bytes"],
        ]
        rows.append([cell(value) for value in values])
    yield from grid(heads, rows)
    yield "</section>"
