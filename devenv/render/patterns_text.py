"""The text forms of `patterns`."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import typer

from devenv.core.model import Report
from devenv.core.plural import number_of

FILES = 5
COLORS = {"sound": "green", "faulty": "red", "not_verified": "yellow"}


def patterns_text(report: Report, verbose: bool) -> list[str]:
    """`patterns list|run|check|explain|matrix`."""
    form = {
        "list": list_lines,
        "run": run_lines,
        "check": check_lines,
        "explain": explain_lines,
        "matrix": matrix_lines,
    }[report.body["action"]]
    return form(report, verbose)


def columns(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows under their heads, without lines; numbers to the right. Opened where the terminal is too narrow for that."""
    from devenv.render.cells import cell_width, clean, pad, shown_width

    heads = [clean(head) for head in heads]
    cells = [[clean("" if value is None else str(value)) for value in row] for row in rows]
    numbers = [
        all(isinstance(row[place], int | float) or row[place] in ("", None) for row in rows)
        for place in range(len(heads))
    ]
    widths = [max(map(cell_width, column)) for column in zip(heads, *cells, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > shown_width():
        return [line for row in cells for line in opened_row(heads, row)]

    def line(row: Sequence[str]) -> str:
        parts = [
            " " * (wide - cell_width(cell)) + cell if number else pad(cell, wide)
            for cell, wide, number in zip(row, widths, numbers, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return [typer.style(line(heads), dim=True), *map(line, cells)]


def opened_row(heads: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """A row of a table that is too wide: its first cell, and below it what is not empty of the others, each named."""
    from devenv.render.cells import shown_width

    yield row[0]
    # A pair stays together: its spaces are no place to break the line.
    pairs = [f"{head} {cell}".replace(" ", "\0") for head, cell in zip(heads[1:], row[1:], strict=True) if cell]
    margin = " " * 4
    for line in textwrap.wrap(
        ", ".join(pairs), shown_width(), initial_indent=margin, subsequent_indent=margin, break_long_words=False
    ):
        yield line.replace("\0", " ")


def figure(value: float | None) -> Any:
    """A number as short as it can be: 4, 4.5."""
    if value is None:
        return None
    return int(value) if float(value).is_integer() else round(value, 2)


def money(amount: float, currency: str) -> str:
    """`0.0012 USD`: small amounts keep their first three digits."""
    if amount >= 1:
        return f"{amount:,.2f} {currency}"
    return f"{amount:.3g} {currency}" if amount else f"0 {currency}"


def condition(row: Mapping[str, Any]) -> str:
    """The key and what else is asked, in one line."""
    if row["sql"]:
        return " ".join(row["sql"].split())
    parts = [f"{name} = {value}" for name, value in row["key"].items()]
    parts += [f"sort {operator} {operand}" for operator, operand in row["sort"].items()]
    parts += [f"filter {row['filter']}"] if row["filter"] else []
    return " and ".join(parts)


def list_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns list`."""
    from devenv.render.cells import clean

    rows = report.body["patterns"]
    if not rows:
        return ["no pattern is declared: add a section [patterns.<name>] to devenv.toml"]
    lines = []
    for row in rows:
        where = row["table"] or row["store"]
        where += f"/{row['index']}" if row["index"] else ""
        lines.append(clean(f"{row['name']:<18} {row['operation']:<7} {where}  {condition(row)}"))
        more = [row["purpose"], row["order"], f"limit {row['limit']}" if row["limit"] else ""]
        more += [f"paging {row['paging']}" if verbose and row["paging"] else ""]
        more += [f"{figure(row['requests_per_month']):,} a month" if row["requests_per_month"] else ""]
        more += [f"script {' '.join(row['script'])}" if row["script"] else ""]
        if text := "; ".join(filter(None, more)):
            lines.append(typer.style(f"{'':<18} {clean(text)}", dim=True))
    return lines


def run_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns run`."""
    from devenv.render.cells import clean, rows_text, show_value, table

    body = report.body
    if "sql" in body:
        shown = {
            "columns": body["columns"],
            "rows": body["rows"],
            "summary": f"({number_of(body['count'], 'row')}, {body['ms']} ms)",
        }
        return [*rows_text(Report("db", None, 0, shown), verbose), *map(clean, body["plan"].splitlines())]
    place = body["place"]
    where = f"{place['table']}{'/' + place['index'] if place['index'] else ''}" if place else "nothing"
    lines = [typer.style(clean(f"{body['pattern']}: a {body['amounts_to']} of {where}"), bold=True)]
    if body["not_run"]:
        return [*lines, clean(f"not run: {body['not_run']}")]
    params = ", ".join(f"{name}={value}" for name, value in body["params"].items())
    lines.append(clean(f"  with {params} ({body['sample']})" if params else "  it has no parameters"))
    if verbose:
        lines += [f"  {clean(line)}" for line in json.dumps(body["request"], indent=2, ensure_ascii=False).splitlines()]
    if "refused" in body:
        return [*lines, clean(f"refused: {body['refused']['code']}: {body['refused']['detail']}")]
    items = body["items"]
    names = list(dict.fromkeys(name for item in items for name in item))
    if items:
        lines += table(
            names, [[item.get(name) for name in names] for item in items], shutil.get_terminal_size((100, 24)).columns
        )
    left = body["count"] - len(items)
    lines.append(
        f"({number_of(body['count'], 'item')}"
        f"{f', {left} not shown' if left else ''}{', and there are more pages' if body['more'] else ''})"
    )
    units = body["read_units"]
    local = "not reported" if units["local"] is None else f"{figure(units['local'])} (local)"
    lines.append(
        f"  pages {body['pages']}   scanned {body['scanned']}, returned {body['count']}   {body['bytes']:,} bytes   "
        f"{body['ms']} ms"
    )
    lines.append(f"  read units {figure(units['computed'])} by the published rules, {local}")
    lines.append(f"  {cost_words(body['cost'])}")
    limit = f"  (with Limit {body['request']['Limit']})" if body["request"].get("Limit") else ""
    lines.append(clean(f"  PartiQL: {body['partiql']}{limit}"))
    if script := body.get("script"):
        lines += script_lines(script)
    return [line if isinstance(line, str) else show_value(line) for line in lines]


def cost_words(cost: Mapping[str, Any]) -> str:
    """Return what it costs at the stated load."""
    each = f"{money(cost['per_million_requests'], cost['currency'])} a million requests"
    if cost["per_month"] is None:
        return f"cost {each} (declare per_second or per_month to get the cost of a month)"
    load = f"{figure(cost['requests_per_month']):,} requests a month"
    return f"cost {money(cost['per_month'], cost['currency'])} a month at {load}; {each}"


def script_lines(script: Mapping[str, Any]) -> list[str]:
    """Return what the project's script asked and answered."""
    from devenv.render.cells import clean

    lines = [clean(f"  script {' '.join(script['command'])} ({script['ms']} ms)")]
    if script["queries"] is None:
        lines.append("    its queries were not captured: only those of Python scripts are")
    else:
        lines += [clean(f"    asks {query}") for query in script["queries"]]
    if script["printed"] is not None:
        lines.append(f"    printed {number_of(script['printed'], 'entry')}")
    if not script["differs"]:
        return [*lines, "    " + typer.style("as declared", fg="green")]
    return [*lines, *(typer.style(clean(f"    differs: {text}"), fg="red") for text in script["differs"])]


def check_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns check`: what was found opened, the rest in one line."""
    from devenv.render.cells import clean
    from devenv.render.doctor_text import check_lines as opened

    body = report.body
    if "list" in body:
        return [f"{row['code']}  {row['layer']:<8} {row['name']:<15} {row['title']}" for row in body["list"]]
    lines = []
    for check in body["checks"]:
        if verbose or check["status"] != "ok" or check["evidence"]:
            lines += opened(check, verbose or check["status"] == "ok")
    held = sum(check["status"] == "ok" and not check["evidence"] for check in body["checks"])
    if held and not verbose:
        lines.append(f"{typer.style('✓', fg='green')} {number_of(held, 'rule')} passed  (-v lists them)")
    lines += columns(
        ["pattern", "operation", "table or index", "items", "scanned", "pages", "units"],
        [
            [
                row["name"],
                row["amounts_to"],
                row["place"] or "-",
                row["items"],
                row["scanned"],
                row["pages"],
                figure(row["read_units"]),
            ]
            for row in body["patterns"]
        ],
    )
    if any(row["script"] is False for row in body["patterns"]):
        lines.append("scripts were not run; devenv patterns check --scripts compares them too")
    if ran := [f"{one['name']} ({number_of(one['rows'], 'row')})" for one in body["sql"] if one["rows"] is not None]:
        lines.append(clean(f"SQL, run and not judged by the rules: {', '.join(ran)}"))
    if unrun := [one["name"] for one in body["sql"] if one["not_run"]]:
        lines.append(clean(f"patterns in SQL that were not run: {', '.join(unrun)}"))
    if unread := body["not_read"]:
        files = ", ".join(unread[:FILES]) + (f" and {len(unread) - FILES} more" if len(unread) > FILES else "")
        lines.append(clean(f"code that could not be read, so its queries were not checked: {files}"))
    counts = ", ".join(f"{count} {status}" for status, count in body["summary"].items() if count)
    verdict = typer.style(body["verdict"].replace("_", " "), fg=COLORS[body["verdict"]], bold=True)
    return [*lines, f"{verdict}  ({counts})"]


def explain_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns explain`: the paragraphs, wrapped."""
    from devenv.render.cells import clean

    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    lines: list[str] = []
    for paragraph in report.body["paragraphs"]:
        lines += [*([""] if lines else []), *textwrap.wrap(clean(paragraph), width, break_long_words=False)]
    return lines


def matrix_lines(report: Report, verbose: bool) -> list[str]:
    """`patterns matrix`: which entity lies where, which pattern reads what, and both layouts."""
    from devenv.render.cells import shown_width

    body = report.body
    places = [place["place"] for place in body["places"]]
    heads = ["entity", *places, "avg bytes", "read", "write", "a million reads / writes"]
    lines = [typer.style("entities (items in each table and index; units of one item)", bold=True)]
    lines += columns(
        heads,
        [
            [
                row["entity"] or "(undeclared)",
                *(row["places"].get(place, "") for place in places),
                row["average_bytes"],
                figure(row["read_units"]),
                figure(row["write_units"]),
                costs(row["cost"]),
            ]
            for row in body["entities"]
        ],
    )
    entities = list(dict.fromkeys(row["entity"] for row in body["entities"] if row["entity"]))
    lines += ["", typer.style("patterns (● reads this entity)", bold=True)]
    lines += columns(
        ["pattern", "operation", "table or index", *entities, "items", "units"],
        [
            [
                row["pattern"],
                row["amounts_to"],
                row["place"] or "-",
                *("●" if entity in row["entities"] else "" for entity in entities),
                row["items"],
                figure(row["read_units"]),
            ]
            for row in body["patterns"]
        ],
    )
    lines += ["", typer.style("one table, and a table per entity (each pattern once)", bold=True)]
    lines += columns(
        ["pattern", "requests", "units", "bytes", "| requests", "units", "bytes"],
        [layout_cells(row["pattern"], row) for row in [*body["layouts"], {**body["totals"], "pattern": "together"}]],
    )
    return [*lines, *textwrap.wrap(body["totals"]["conclusion"], shown_width())]


def costs(cost: Mapping[str, Any]) -> str:
    """A million reads and a million writes of one item."""
    return " / ".join(money(cost[f"million_{each}"], cost["currency"]) for each in ("reads", "writes"))


def layout_cells(name: str, row: Mapping[str, Any]) -> list[Any]:
    """A pattern's figures in both layouts."""
    cells: list[Any] = [name]
    for layout in ("one_table", "table_per_entity"):
        cells += [row[layout]["requests"], figure(row[layout]["read_units"]), row[layout]["bytes"]]
    return cells
