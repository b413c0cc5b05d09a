"""The Data page: Postgres on the left, DynamoDB on the right, and every id a link from one into the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from devenv.config.masking import hide_tree
from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.links.values import uuid_text
from devenv.query.items import schema_of
from devenv.query.queries import opened as opened_items
from devenv.stores.dynamodb.key_schema import places_of
from devenv.ui import items as right
from devenv.ui import marks
from devenv.ui import rows as left
from devenv.ui.data_view import LEFT, RIGHT, DataAddress, key_of, number, show_item, show_row, texts
from devenv.ui.rows import NotAgreed
from devenv.ui.view import Page, command

if TYPE_CHECKING:
    from starlette.requests import Request

    from devenv.stack import Stack
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.stores.postgres.client import Connection
    from devenv.ui.site import Site
    from devenv.ui.tables import ShownTable


def show(site: Site, request: Request) -> Page:
    """Both sides. One that cannot be shown says why, and the other one is shown."""
    address = DataAddress(dict(request.query_params))
    opened = site.open()
    with ExitStack() as stack:
        connection = None
        try:
            connection, asking = stack.enter_context(left.opened_rows(opened))
            rows = left_side(opened, address, connection, asking)
        except DevenvError as error:
            rows = {
                "kind": "failed",
                "failure": error.with_hint("devenv up").failure,
                "document": {"error": error.what},
            }
        try:
            dynamodb = stack.enter_context(opened_items(opened))
            items = right_side(site, opened, address, connection, dynamodb)
            if rows["kind"] == "row":
                rows["namers"] = find_namers(site, opened, address, rows, dynamodb)
        except DevenvError as error:
            items = {
                "kind": "failed",
                "failure": error.with_hint("devenv up").failure,
                "document": {"error": error.what},
            }
    values = {
        "project": opened.settings.project.name,
        "address": address,
        "left": rows,
        "right": items,
        "left_fields": address.hidden(LEFT),
        "right_fields": address.hidden(RIGHT),
    }
    document = hide_tree({"schema": "devenv.ui/1", "postgres": rows["document"], "dynamodb": items["document"]})
    return Page("data.html", title(address), values, document)


def failed_side(error: DevenvError) -> dict[str, Any]:
    """A side that cannot be shown."""
    return {"kind": "failed", "failure": error.with_hint("devenv up").failure, "document": {"error": error.what}}


def table_stream(tables: Iterable[str]) -> str:
    """The address that tells of these tables what is not known yet; "" for none."""
    query = urlencode([("table", name) for name in tables])
    return f"/stream/tables?{query}" if query else ""


def indexes_of(described: Mapping[str, Any]) -> list[str]:
    """The names of a table's indexes."""
    return [place.index for place in places_of(described) if place.index]


def title(address: DataAddress) -> str:
    """The page's title."""
    return " and ".join(filter(None, (address.get("table"), address.get("items")))) or "Data"


# --- Postgres ---


def left_side(opened: Stack, address: DataAddress, connection: Connection, asking: Any) -> dict[str, Any]:
    """Tables, rows of one, or one row."""
    if not address.get("table"):
        wanted, first = address.get("tables"), number(address.get("after"))
        tables, more = left.list_tables(connection, wanted, first)
        for each in tables:
            each["href"] = address.left(table=each["table"])
        following = address.left(tables=wanted, after=str(first + left.TABLES)) if more else ""
        return {"kind": "tables", "tables": tables, "wanted": wanted, "next": following, "document": {"tables": tables}}
    table = left.describe_table(connection, address.get("table"))
    head = {"table": table, "title": table.title, "back": address.left(), "all": address.left(table=table.title)}
    where = address.get("where")
    if address.get("row"):
        seen = left.row_of(asking, table, key_of(address.get("row")))
    else:
        try:
            after = texts(address.get("after"))
            seen = left.page_of(asking, table, where, after, agreed=bool(address.get("lread")))
        except NotAgreed as error:
            ask = {"what": error.what, "href": address.also(lread="1")}
            return {**head, "kind": "ask", "where": where, "ask": ask, "document": {"asks": error.what}}
        except StoreError as error:
            if not where:
                raise
            failure = error.failure
            return {**head, "kind": "refused", "where": where, "failure": failure, "document": {"error": failure.what}}
    found = marks.mark_rows(opened.settings, table, seen.rows, connection)
    rows = [show_row(opened, address, table, row, key, found) for row, key in zip(seen.rows, seen.keys, strict=True)]
    following = ""
    if seen.after:
        after_key = json.dumps(list(seen.after))
        following = address.left(table=table.title, where=where, after=after_key, **agreed(address))
    return {
        **head,
        "kind": "row" if address.get("row") else "rows",
        "where": where,
        "seen": seen,
        "rows": rows,
        "namers": [],
        "next": following,
        "first": address.left(table=table.title, where=where, **agreed(address)) if address.get("after") else "",
        "command": command(["db", seen.shown]),
        "document": {
            "table": table.title,
            "plan": seen.plan,
            "statement": seen.shown,
            "rows": [dict(row) for row in seen.rows],
            "marks": [
                {"row": row["key"], "marks": [vars(mark) for mark in row["marks"]]} for row in rows if row["marks"]
            ],
        },
    }


def agreed(address: DataAddress) -> dict[str, str]:
    """Keep what was agreed to for the next page."""
    return {"lread": "1"} if address.get("lread") else {}


def find_namers(
    site: Site, opened: Stack, address: DataAddress, side: Mapping[str, Any], dynamodb: Dynamo
) -> list[dict[str, Any]]:
    """How to find the items that name the row on the left, one entry for each link."""
    if len(side["seen"].rows) != 1:
        return []
    known: dict[str, ShownTable] = {}
    for link in opened.settings.links:
        name = link.source.removeprefix("dynamodb:").partition(".")[0]
        try:
            if name not in known:
                known[name] = site.tables.look(opened, dynamodb, name)
        except StoreError:
            continue
    found = []
    described = {name: each.described for name, each in known.items()}
    for each in marks.namers(opened.settings, side["table"], side["seen"].rows[0], described):
        query = {"items": each.table, "hash": each.hash, **({"index": each.index} if each.index else {})}
        scan = {"items": each.table, "value": each.value}
        count = known[each.table].count if each.table in known else None
        found.append(
            {
                "namers": each,
                "query": bool(each.hash),
                "count": count,
                "href": address.right(**(query if each.hash else scan)),
            }
        )
    return found


# --- DynamoDB ---


def right_side(
    site: Site, opened: Stack, address: DataAddress, connection: Connection | None, dynamodb: Dynamo
) -> dict[str, Any]:
    """Tables, items of one, or one item."""
    if not address.get("items"):
        wanted = address.get("names")
        tables, last = right.list_item_tables(
            dynamodb, partial(site.tables.glance, opened, dynamodb), wanted, address.get("start")
        )
        for each in tables:
            each["href"] = address.right(items=each["table"])
        following = address.right(names=wanted, start=last) if last else ""
        shown = [{name: value for name, value in each.items() if name != "later"} for each in tables]
        stream = table_stream(each["table"] for each in tables if each["later"])
        return {
            "kind": "tables",
            "tables": tables,
            "wanted": wanted,
            "next": following,
            "stream": stream,
            "document": {"tables": shown},
        }
    asked = asked_for(address)
    look = partial(site.tables.look, opened, dynamodb)
    known = look(asked.table, asked.index)
    described = known.described
    head = {
        "stream": table_stream([asked.table] if known.due else []),
        "title": asked.table,
        "asked": asked,
        "indexes": indexes_of(described),
        "keys": schema_of(described, asked.index or None),
        "back": address.right(),
        "all": address.right(items=asked.table),
    }
    try:
        seen = right.read_items(dynamodb, look, asked)
    except NotAgreed as error:
        ask = {"what": error.what, "href": address.also(read="1")}
        return {**head, "kind": "ask", "ask": ask, "document": {"asks": error.what}}
    except (UsageError, StoreError) as error:
        if isinstance(error, StoreError) and not error.reached:
            raise
        # An index that is another one than was known, or a table that was made anew just now.
        if asked.index and site.tables.forget(dynamodb, asked.table):
            return right_side(site, opened, address, connection, dynamodb)
        return {**head, "kind": "refused", "failure": error.failure, "document": {"error": error.what}}
    marked, why = marks.mark_items(opened.settings, described, seen.items, connection)
    shown = [show_item(opened, address, described, each, whole=bool(asked.item)) for each in marked]
    return {
        **head,
        "kind": "item" if asked.item else "items",
        "seen": seen,
        "items": shown,
        "why": why,
        "next": address.also(start=seen.start) if seen.start else "",
        "first": first_page(address) if asked.start else "",
        "command": command(seen.words),
        "document": {
            "table": asked.table,
            "operation": seen.said,
            "read": seen.read,
            "read_units": seen.units,
            "items": list(seen.items),
            "marks": [
                {
                    "item": each["key"],
                    "marks": {name: [vars(mark) for mark in found] for name, found in each["marks"].items()},
                }
                for each in shown
                if each["marks"]
            ],
        },
    }


def first_page(address: DataAddress) -> str:
    """The same without the place that the page begins at."""
    kept = {name: text for name, text in address.given.items() if name in RIGHT and name != "start"}
    return address.right(**kept)


def asked_for(address: DataAddress) -> right.ItemsAsked:
    """The question to DynamoDB that the address holds."""
    return right.ItemsAsked(
        table=address.get("items"),
        index=address.get("index"),
        hash=address.get("hash"),
        sort=address.get("sort"),
        upto=address.get("upto"),
        how=address.get("how"),
        newest=bool(address.get("newest")),
        partiql=address.get("partiql"),
        start=address.get("start"),
        item=address.get("item"),
        value=address.get("value"),
        agreed=bool(address.get("read")),
    )


# --- what a filter amounts to, and where a value is ---


def amount(site: Site, request: Request) -> Page:
    """Say what a filter amounts to, before it runs: a part of the page."""
    given = dict(request.query_params)
    opened = site.open()
    try:
        words = amount_left(opened, given) if given.get("table") else amount_right(site, opened, given)
    except DevenvError as error:
        words = f"{error.what}{': ' + error.detail if error.detail else ''}"
    return Page("amount.html", "Amount", {"words": words}, {"schema": "devenv.ui/1", "amounts_to": words})


def amount_left(opened: Stack, given: Mapping[str, str]) -> str:
    """The amount of an SQL condition, in words."""
    if not given.get("where", "").strip():
        return ""
    with left.opened_rows(opened) as (connection, asking):
        table = left.describe_table(connection, given["table"])
        return left.page_of(asking, table, given["where"], (), agreed=False, only_plan=True).plan


def amount_right(site: Site, opened: Stack, given: Mapping[str, str]) -> str:
    """The amount of a PartiQL statement, in words."""
    if not given.get("partiql", "").strip():
        return ""
    with opened_items(opened) as dynamodb:
        look = partial(site.tables.look, opened, dynamodb)
        return right.amount_of_partiql(dynamodb, look, given["partiql"])


def find(site: Site, request: Request) -> Page:
    """Where an id is that nothing is declared about: by keys at once, in whole tables only when asked."""
    value = request.query_params.get("value", "").strip()
    opened = site.open()
    places: list[dict[str, Any]] = []
    scans: list[dict[str, Any]] = []
    notes: list[str] = []
    address = DataAddress({})
    if value:
        try:
            with left.opened_rows(opened) as (connection, _):
                found = left.find_uuid(connection, value) if uuid_text(value) else []
            for each in found:
                href = address.left(table=each["table"], row=json.dumps({each["column"]: value}))
                places.append({"words": f"{each['table']}.{each['column']}", "store": "Postgres", "href": href})
        except DevenvError as error:
            notes.append(error.what)
        try:
            with opened_items(opened) as dynamodb:
                tables, _ = right.list_item_tables(dynamodb, partial(site.tables.glance, opened, dynamodb), "", "")
                places += partitions(site, opened, dynamodb, value)
            for each in tables:
                scans.append({**each, "href": address.right(items=each["table"], value=value)})
        except DevenvError as error:
            notes.append(error.what)
    values = {"value": value, "places": places, "scans": scans, "notes": notes, "project": opened.settings.project.name}
    return Page("find.html", "Find an id", values, {"schema": "devenv.ui/1", "value": value, "places": places})


def partitions(site: Site, opened: Stack, dynamodb: Dynamo, value: str) -> list[dict[str, Any]]:
    """The declared partitions of this id that have an item: one Query of one item for each."""
    found = []
    for kind in marks.plan_for(opened.settings, None).kinds:
        try:
            look = partial(site.tables.look, opened, dynamodb)
            hash_key = schema_of(look(kind.table).described)[0]
            template = next((each for attribute, each in kind.matchers if attribute == hash_key), None)
            if template is None or len(template.names) != 1:
                continue
            text = template.fill([value])
            seen = right.read_items(dynamodb, look, right.ItemsAsked(table=kind.table, hash=text))
        except DevenvError:
            continue
        if seen.items:
            href = DataAddress({}).right(items=kind.table, hash=text)
            entry = {"words": f"{kind.table} {text}", "store": "DynamoDB", "href": href}
            found += [entry] if entry not in found else []
    return found
