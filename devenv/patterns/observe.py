"""Look at the tables and run the declared patterns: the edge. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from msgspec.structs import replace as changed

from devenv.config.schema import Pattern, Settings
from devenv.core.errors import StoreError, UsageError
from devenv.core.templates import Unknown
from devenv.links.read import compile_plan, match
from devenv.patterns.declared import MAX_PAGES, PreparedPattern, prepare, read_pages, request_of, run
from devenv.patterns.samples import sample
from devenv.patterns.seen import Item, Observed, RunSeen, Sample, SeenPattern, TableSeen, Unsampled, amount_of
from devenv.stores.dynamodb.capacity import Mode, fetching_units, item_bytes, units_of
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.dynamodb.key_schema import Place

# More items of one table are not looked at; the report says so.
MAX_ITEMS: Final = 100_000


def look(
    dynamodb: Dynamo,
    settings: Settings,
    declared: Mapping[str, Mapping[str, Any]],
    *,
    names: Sequence[str] | None = None,
    given: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Observed:
    """Read every table that a pattern, an entity or a definition names, and run all patterns.

    With `names` only these are run, and only their tables are read. `declared` are CreateTable requests by table.
    StoreError when DynamoDB does not answer, UsageError for a declaration that contradicts itself.
    """
    wanted = {name: settings.patterns[name] for name in (settings.patterns if names is None else names)}
    needed = table_names(settings, declared) if names is None else [each.table or "" for each in wanted.values()]
    tables = {name: read_table(dynamodb, name, declared.get(name)) for name in dict.fromkeys(filter(None, needed))}
    kinds = {name: kinds_of(settings, table) for name, table in tables.items()}
    moment = now or datetime.now(UTC)
    builtin = {"year": f"{moment:%Y}", "today": f"{moment:%Y-%m-%d}"}
    accesses = {
        name: try_out(dynamodb, name, pattern, tables, kinds, given or {}, builtin)
        for name, pattern in wanted.items()
        if pattern.sql is None
    }
    return Observed(settings, tables, accesses, kinds)


def table_names(settings: Settings, declared: Iterable[str]) -> list[str]:
    """Every table that the settings or the definitions name, in order."""
    of_patterns = (pattern.table for pattern in settings.patterns.values() if pattern.table)
    of_entities = (entity.table for entity in settings.entities.values())
    return list(dict.fromkeys([*of_patterns, *of_entities, *declared]))


def read_table(dynamodb: Dynamo, name: str, declared: Mapping[str, Any] | None = None) -> TableSeen:
    """A table's description and its items. StoreError when DynamoDB does not answer."""
    try:
        described = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
    except StoreError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return TableSeen(name, None, declared=declared)
    items = list(islice(dynamodb.scan(name), MAX_ITEMS + 1))
    return TableSeen(name, described, items[:MAX_ITEMS], len(items) <= MAX_ITEMS, declared)


def kinds_of(settings: Settings, table: TableSeen) -> tuple[str | None, ...]:
    """The entity of each item of a table; None for what is none of the declared ones."""
    kinds = [kind for kind in compile_plan(settings, {}).kinds if kind.table == table.name]
    return tuple(
        next((kind.name for kind in kinds if match(kind, item, loose=False) is not None), None) for item in table.items
    )


def try_out(
    dynamodb: Dynamo,
    name: str,
    pattern: Pattern,
    tables: Mapping[str, TableSeen],
    kinds: Mapping[str, Sequence[str | None]],
    given: Mapping[str, str],
    builtin: Mapping[str, str],
) -> SeenPattern:
    """One pattern: parameters from the data, and a run with each choice of them."""
    table = tables.get(pattern.table or "")
    place = table.place(pattern.index) if table else None
    amount = amount_of(pattern, place)
    if table is None or table.described is None or place is None:
        return SeenPattern(name, pattern, place, amount, entities=tuple(pattern.entities))
    if wrong := malformed(pattern):
        refused = RunSeen(Sample({}, "none"), code="not possible", detail=wrong)
        return SeenPattern(name, pattern, place, amount, (refused,), entities=tuple(pattern.entities))
    samples = sample(pattern, place, table, given, builtin)
    if isinstance(samples, Unsampled):
        return SeenPattern(name, pattern, place, amount, unsampled=samples, entities=tuple(pattern.entities))
    runs = []
    entities = dict.fromkeys(pattern.entities)
    known = dict(zip((key_of(table, item) for item in table.items), kinds[table.name], strict=True))
    for each in samples:
        seen, items = run_once(dynamodb, pattern, place, table, each)
        runs.append(replace(seen, kinds=tuple(known.get(key_of(table, item)) for item in items)))
        brought = items if pattern.projection or seen.read is None else seen.read.items
        entities |= dict.fromkeys(filter(None, (known.get(key_of(table, item)) for item in brought)))
    return SeenPattern(name, pattern, place, amount, tuple(runs), entities=tuple(entities))


def malformed(pattern: Pattern) -> str | None:
    """Why the condition on the sort key is none; None when it is one, or there is none."""
    if not pattern.sort:
        return None
    if len(pattern.sort) > 1:
        return f"sort has {len(pattern.sort)} conditions, a Query takes one"
    ((operator, operand),) = pattern.sort.items()
    wanted = 2 if operator == "between" else 1
    given = len(operand) if isinstance(operand, list) else 1
    if given != wanted or (wanted == 1 and isinstance(operand, list)):
        return (
            f"sort = {{ {operator} = {operand!r} }}: it takes {'two values in a list' if wanted == 2 else 'one value'}"
        )
    return None


def key_of(table: TableSeen, item: Item) -> tuple[str, ...]:
    """An item's own key, to find it again in an index."""
    return tuple(str(item.get(name)) for name in table.places[0].keys)


def run_once(
    dynamodb: Dynamo, pattern: Pattern, place: Place, table: TableSeen, chosen: Sample
) -> tuple[RunSeen, Sequence[Item]]:
    """One run, and all items that it had to read. What no key serves is run as the Scan that it amounts to."""
    if amount_of(pattern, place) == "Scan":
        pattern = changed(pattern, operation="Scan")
    if pattern.paging == "page":
        pattern = changed(pattern, paged=False)
    request: Mapping[str, Any] = {}
    try:
        prepared = prepare(pattern, chosen.values, table.described)
        request = request_of(prepared)
        began = time.perf_counter()
        read = run(dynamodb, prepared)
        ms = (time.perf_counter() - began) * 1000
        sizes, items = read.sizes, read.items
        if prepared.filter or pattern.projection or pattern.kind == "Scan":
            sizes, items = read_bare(dynamodb, prepared, read.pages)
    except StoreError as error:
        if not error.reached:
            raise
        return RunSeen(chosen, request, code=error.code or "refused", detail=error.detail or error.what), ()
    except UsageError as error:
        return RunSeen(chosen, request, code="not possible", detail=error.what), ()
    except Unknown as error:
        return RunSeen(chosen, request, code="not possible", detail=f"{{{error.name}}} is not known"), ()
    units = sum(units_of_page(pattern, place, table, page) for page in pages_of(sizes, items))
    return RunSeen(chosen, request, read, sizes, units, ms), items


def pages_of(sizes: Sequence[Sequence[int]], items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    """The items, page by page."""
    left = iter(items)
    return [list(islice(left, len(page))) for page in sizes]


def read_bare(
    dynamodb: Dynamo, prepared: PreparedPattern, pages: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[Item, ...]]:
    """The same pages without filter and projection: what DynamoDB reads, and counts, before it throws away."""
    pattern = changed(prepared.pattern, projection=[], filter=None)
    bare = replace(prepared, pattern=pattern, filter=None)
    if pattern.kind == "Scan":
        bare = replace(bare, key={}, sort={})
    found: list[Item] = []
    sizes = []
    for page in islice(read_pages(dynamodb, bare, request_of(bare)), min(pages, MAX_PAGES)):
        found += page["Items"]
        sizes.append(tuple(map(item_bytes, page["Items"])))
    return tuple(sizes), tuple(found)


def units_of_page(pattern: Pattern, place: Place, table: TableSeen, items: Sequence[Item]) -> float:
    """The cost of a page by the published rules; a local index that lacks attributes reads the items themselves too."""
    mode: Mode = "strong" if pattern.consistent else "eventual"
    sizes = list(map(item_bytes, items))
    if place.kind == "local" and place.lacks(pattern.projection):
        whole = dict(zip((key_of(table, item) for item in table.items), table.sizes, strict=True))
        return fetching_units(sizes, [whole.get(key_of(table, item), 0) for item in items], mode)
    return units_of(sum(sizes), mode)
