"""`patterns matrix`: entities, patterns and keys, and the cost of one table compared with a table per entity. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devenv.config.schema import Prices
from devenv.core.plural import number_of
from devenv.patterns.seen import Observed, SeenPattern, TableSeen
from devenv.stores.dynamodb.capacity import STORED_BYTES, item_bytes, page_units, units_of, write_units
from devenv.stores.dynamodb.key_schema import Place


def matrix(seen: Observed) -> dict[str, Any]:
    """The whole view, for JSON: `places`, `entities`, `patterns`, `layouts`."""
    tables = [table for table in seen.tables.values() if table.places]
    prices = seen.settings.access.prices
    entities = [row for table in tables for row in entity_rows(table, seen.kinds[table.name], prices)]
    layouts = [layout_row(access) for access in seen.accesses.values() if access.main and access.main.read]
    return {
        "places": [place_row(place, table) for table in tables for place in table.places],
        "entities": entities,
        "patterns": [pattern_row(access, seen) for access in seen.accesses.values()],
        "layouts": layouts,
        "totals": totals(layouts),
    }


def place_row(place: Place, table: TableSeen) -> dict[str, Any]:
    """A table or an index: its keys, and what is in it."""
    held = [item for item in table.items if place.holds(item)]
    return {
        "place": place.subject,
        "kind": place.kind,
        "partition_key": place.hash,
        "sort_key": place.sort,
        "projection": "all" if place.projected is None else sorted(place.projected),
        "items": len(held),
        "bytes": sum(item_bytes(place.entry(item)) for item in held),
    }


def entity_rows(table: TableSeen, kinds: Sequence[str | None], prices: Prices) -> list[dict[str, Any]]:
    """Each entity of a table: how many, how heavy, in which indexes, and what one of them costs.

    `read_units` is one eventually consistent GetItem, `write_units` one new item with its copies in the indexes,
    `stored_bytes` what storage is billed for; all of an item of average size. `cost` is that of a million of them.
    """
    rows = []
    for kind in dict.fromkeys(kinds):
        mine = [(item, size) for item, size, each in zip(table.items, table.sizes, kinds, strict=True) if each == kind]
        sizes = [size for _, size in mine]
        average = sum(sizes) / len(sizes)
        places: dict[str, int] = {}
        copies = 0.0
        stored = average + STORED_BYTES
        for place in table.places:
            entries = [item_bytes(place.entry(item)) for item, _ in mine if place.holds(item)]
            if entries:
                places[place.subject] = len(entries)
                if place.index:
                    share = len(entries) / len(mine)
                    copies += share * write_units(int(sum(entries) / len(entries)))
                    stored += share * (sum(entries) / len(entries) + STORED_BYTES)
        reads, writes = units_of(int(average)), write_units(int(average)) + round(copies, 2)
        rows.append(
            {
                "entity": kind,
                "table": table.name,
                "items": len(mine),
                "bytes": sum(sizes),
                "average_bytes": round(average),
                "largest_bytes": max(sizes),
                "places": places,
                "read_units": reads,
                "write_units": writes,
                "stored_bytes": round(stored),
                "cost": {
                    "million_reads": reads * prices.read_million,
                    "million_writes": writes * prices.write_million,
                    "million_stored_a_month": stored * 1e6 / 1024**3 * prices.storage_gb_month,
                    "currency": prices.currency,
                },
            }
        )
    return rows


def pattern_row(access: SeenPattern, seen: Observed) -> dict[str, Any]:
    """A pattern: where it reads, which entities, how much."""
    run = access.main
    read = run.read if run else None
    return {
        "pattern": access.name,
        "purpose": access.pattern.purpose,
        "place": access.place.subject if access.place else None,
        "amounts_to": access.amount,
        "key": {name: str(value) for name, value in access.pattern.key.items()},
        "entities": list(access.entities),
        "items": len(read.items) if read else None,
        "requests": read.pages if read else None,
        "read_units": run.units if run else None,
        "bytes": run.bytes if run else None,
        "cost": cost_of(access, seen),
    }


def cost_of(access: SeenPattern, seen: Observed) -> dict[str, Any] | None:
    """Return what a pattern costs at its stated load, by the project's prices; None when it was not run."""
    run, prices = access.main, seen.settings.access.prices
    if run is None or run.units is None:
        return None
    load = access.pattern.requests_per_month
    return {
        "requests_per_month": load,
        "read_units_per_month": None if load is None else run.units * load,
        "per_month": None if load is None else run.units * load * prices.read_million / 1e6,
        "per_million_requests": run.units * prices.read_million,
        "currency": prices.currency,
        "price_per_million_read_units": prices.read_million,
    }


def layout_row(access: SeenPattern) -> dict[str, Any]:
    """A pattern on the one table that there is, and if every entity had a table of its own with the same keys.

    With several entities in one answer that is one request for each of them; with one, only a Scan reads less.
    """
    run = access.main
    assert run is not None  # noqa: S101 - asked only of patterns that were run
    assert run.read is not None  # noqa: S101
    pattern = access.pattern
    sizes = [size for page in run.pages for size in page]
    mode = "strong" if pattern.consistent else "eventual"
    requests, units, read = 0, 0.0, 0
    for entity in access.entities or (None,):
        mine = [size for size, kind in zip(sizes, run.kinds, strict=True) if kind == entity]
        if not pattern.followed or pattern.paging == "page":
            mine = mine[: pattern.limit]
        pages, cost = page_units(mine, pattern.limit, mode)  # type: ignore[arg-type]
        requests, units, read = requests + pages, units + cost, read + sum(mine)
    return {
        "pattern": access.name,
        "entities": list(access.entities),
        "requests_per_month": pattern.requests_per_month,
        "one_table": {"requests": run.read.pages, "read_units": run.units, "bytes": run.bytes},
        "table_per_entity": {"requests": requests, "read_units": units, "bytes": read},
    }


def totals(layouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Both layouts, once each pattern; where every pattern states its load, a month's worth too."""
    loads = [row["requests_per_month"] for row in layouts]
    found: dict[str, Any] = {}
    for layout in ("one_table", "table_per_entity"):
        once = {name: sum(row[layout][name] for row in layouts) for name in ("requests", "read_units", "bytes")}
        month = None
        if layouts and None not in loads:
            month = sum(row[layout]["read_units"] * load for row, load in zip(layouts, loads, strict=True))
        found[layout] = {**once, "read_units_per_month": month}
    one, many = found["one_table"], found["table_per_entity"]
    found["conclusion"] = conclusion(one, many)
    return found


def conclusion(one: Mapping[str, Any], many: Mapping[str, Any]) -> str:
    """Return what the figures say about the choice, in a sentence."""
    requests, units = many["requests"] - one["requests"], many["read_units"] - one["read_units"]
    if not requests and not units:
        return (
            "no declared pattern reads several entities at once, so a single table and a table per entity cost the same"
        )
    better = "one table" if (units, requests) > (0, 0) else "one table per entity"
    return (
        f"{better} is cheaper for the declared patterns: {number_of(one['requests'], 'request')} and "
        f"{one['read_units']:g} read units in one table, "
        f"{many['requests']} and {many['read_units']:g} with a table per entity"
    )
