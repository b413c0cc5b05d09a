"""Ids on the Data page: where each leads, and what is wrong where it stands. `links` judges, as everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from devenv.config.schema import Settings
from devenv.core.errors import StoreError
from devenv.links.judge import Edge, Item, compile_plan, judge
from devenv.links.matching import read_matching
from devenv.links.read import ItemRecord, ReadPlan
from devenv.links.rows import find_row_faults
from devenv.links.values import canonical, canonical_text, scalar_text, uuid_text
from devenv.stores.dynamodb.key_schema import places_of
from devenv.stores.postgres.client import Connection
from devenv.ui.rows import RowTable
from devenv.verify.recheck import FIELD_FAULTS, LINK_FAULTS
from devenv.verify.rows import find_rows

# A table with more rows is not searched for names that are nearly the same.
NEAR: Final = 20_000
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class PlaceMark:
    """Something wrong at one place: its class, a sentence, and what belongs there, if that is known."""

    kind: str
    note: str
    expected: str | None = None


@dataclass(frozen=True)
class Lead:
    """One id in one attribute: the row that it names. `found`: there is one; `row`: column -> text of its key."""

    text: str
    table: str
    row: Mapping[str, str]
    found: bool
    name: str


@dataclass
class MarkedItem:
    """An item with what is known of it. `parts` are the fields in its key, `kind` the entity's name ("": none).

    `near`: the entity whose key it nearly has. `groups`: (words, table, hash key) of items that belong to it.
    """

    item: Item
    kind: str = ""
    near: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    leads: dict[str, list[Lead]] = field(default_factory=dict)
    marks: dict[str, list[PlaceMark]] = field(default_factory=dict)


@dataclass(frozen=True)
class Namers:
    """How the items that name a row through one link are found: by a Query (`hash`), or by a Scan for `value`."""

    link: str
    table: str
    index: str
    hash: str
    value: str
    attribute: str


def plan_for(settings: Settings, described: Mapping[str, Any] | None) -> ReadPlan:
    """The declared entities and links, with the keys that a table really has."""
    from devenv.stores.dynamodb.key_schema import table_keys

    keys = {str(described["TableName"]): table_keys(described)} if described else {}
    return compile_plan(settings, keys)


def mark_items(
    settings: Settings, described: Mapping[str, Any], items: Sequence[Item], connection: Connection | None
) -> tuple[list[MarkedItem], str]:
    """Each item with its entity, its ids and what is wrong; and why ids could not be looked up, if so."""
    table = str(described["TableName"])
    plan = plan_for(settings, described)
    why = ""
    rows: Mapping[Any, Sequence[Mapping[str, Any]]] = {}
    try:
        if connection is None:
            raise StoreError("Postgres is not running")
        rows = find_rows(connection, plan, {table: items})
    except StoreError as error:
        why = f"ids are not checked: {error.what}"
    known = tuple(edge for edge in plan.edges if edge.relation in rows)
    found = judge(ReadPlan(plan.kinds, known, plan.groups, plan.keys), {table: items}, rows, datetime.now(UTC))
    marked = {id(record.item): of_record(record) for record in found.records}
    for named in found.named:
        leads = marked[id(named.record.item)].leads.setdefault(named.edge.attribute, [])
        one = lead(named.edge, named)
        leads += [] if one in leads else [one]
    for fault in found.faults:
        if fault.record is None or fault.kind not in LINK_FAULTS | FIELD_FAULTS:
            continue
        place = marked[id(fault.record.item)].marks.setdefault(fault.attribute or "", [])
        mark = PlaceMark(fault.kind, fault.note, fault.expected)
        place += [] if mark in place else [mark]
    return [marked.get(id(item)) or MarkedItem(item) for item in items], why


def of_record(record: ItemRecord) -> MarkedItem:
    """The entity and the fields of a record."""
    kind = record.kind or record.near
    names = [name for _, template in kind.matchers for name in template.names] if kind else []
    return MarkedItem(
        record.item,
        record.kind.name if record.kind else "",
        record.near.name if record.near and not record.kind else "",
        {name: record.values[name] for name in names if name in record.values},
        record.values,
    )


def lead(edge: Edge, named: Any) -> Lead:
    """Where one id leads: to the row that it means, which is another one where the id is out of date."""
    row = named.row
    text = canonical_text(row[edge.column]) if row is not None else named.id
    name = " ".join(canonical_text(row[column]) for _, column in edge.natural if row.get(column)) if row else ""
    return Lead(named.text, ".".join(edge.relation), {edge.column: text}, row is not None, name)


def kin(settings: Settings, described: Mapping[str, Any], marked: MarkedItem) -> list[tuple[str, str]]:
    """(words, hash key) of the other partitions that this item's fields lead to: `MSG#…` from a conversation's row."""
    plan = plan_for(settings, described)
    table = str(described["TableName"])
    hash_key = places_of(described)[0].hash
    own = scalar_text(marked.item.get(hash_key))
    found: dict[str, str] = {}
    for kind in plan.kinds:
        template = next((template for attribute, template in kind.matchers if attribute == hash_key), None)
        if kind.table != table or template is None or not template.names:
            continue
        if all(name in marked.values for name in template.names):
            text = template.fill(marked.values[name] for name in template.names)
            if text != own:
                found.setdefault(text, kind.name)
    return [(name, text) for text, name in found.items()]


def namers(settings: Settings, table: RowTable, row: Mapping[str, Any], described: Mapping[str, Any]) -> list[Namers]:
    """For each link to this table: how to find the items that name this row. `described`: table -> description."""
    found = []
    for edge in compile_plan(settings, {}).edges:
        if edge.relation != (table.schema, table.name) or row.get(edge.column) is None:
            continue
        identifier = canonical(str(row[edge.column]))
        single = edge.template is None or len(edge.template.names) == 1
        text = edge.template.fill([identifier]) if edge.template and single else identifier
        places = places_of(described[edge.table]) if edge.table in described else ()
        place = next((place for place in places if place.hash == edge.attribute and single), None)
        index = (place.index or "") if place else ""
        found.append(Namers(edge.name, edge.table, index, text if place else "", identifier, edge.attribute))
    return found


def mark_rows(
    settings: Settings, table: RowTable, rows: Sequence[Mapping[str, Any]], connection: Connection
) -> dict[tuple[str, str], list[PlaceMark]]:
    """(column, its text) -> what is wrong with the names of these rows: near misses, and two rows of one name.

    In a table that is not large the whole of it is searched for names that are nearly the same.
    """
    plan = compile_plan(settings, {})
    edges = tuple(edge for edge in plan.edges if edge.relation == (table.schema, table.name) and edge.natural)
    if not edges or not rows or not all(set(edge.columns) <= table.types.keys() for edge in edges):
        return {}
    plan = ReadPlan(plan.kinds, edges, (), plan.keys)
    relation = edges[0].relation
    columns = plan.relations[relation]
    seen: Sequence[Mapping[str, Any]] = rows
    if table.rows is not None and table.rows <= NEAR:
        wanted = {edge.column: {canonical(str(row[edge.column])) for row in rows} for edge in edges}
        seen = [*read_matching(connection, relation, columns, wanted), *alike(connection, edges, rows)]
        seen = list({canonical(row[edges[0].column]): row for row in seen}.values())
    found: dict[tuple[str, str], list[PlaceMark]] = {}
    for fault in find_row_faults(plan, {relation: seen}):
        for subject in fault.subjects:
            place = found.setdefault((edges[0].column, subject), [])
            mark = PlaceMark(fault.kind, fault.note)
            place += [] if mark in place else [mark]
    return found


def alike(connection: Connection, edges: Sequence[Edge], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose natural key is that of one of `rows`, but for blanks and capitals."""
    from psycopg import sql

    from devenv.stores.postgres.client import execute, name

    found: list[dict[str, Any]] = []
    for edge in edges:
        column = edge.natural[0][1]
        texts = sorted({str(row[column]).strip().lower() for row in rows if row.get(column) is not None})
        query = sql.SQL("SELECT {} FROM {} WHERE lower(btrim({}::text)) = ANY(%s) LIMIT 500").format(
            sql.SQL(", ").join(map(name, edge.columns)), name(*edge.relation), name(column)
        )
        answer = execute(connection, query, [texts]).fetchall()
        found += [dict(zip(edge.columns, row, strict=True)) for row in answer]
    return found


def traceable(settings: Settings, values: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """(subject, its parameters) of the traces that an item with these fields could be about."""
    return [
        (subject, tuple(values[name] for name in trace.params))
        for subject, trace in settings.trace.items()
        if trace.params and all(values.get(name) for name in trace.params)
    ]


def user_of(settings: Settings, table: str, row: Mapping[str, Any]) -> str | None:
    """The name under which a row of the table of people asks; None for another row."""
    person = settings.person
    if person is None or table not in (person.table, f"public.{person.table}"):
        return None
    name = row.get(person.name)
    return None if name is None else str(name)


def is_id(text: str) -> bool:
    """Return True if a text is a uuid, so that it may be somebody's id."""
    return bool(UUID.fullmatch(text)) and uuid_text(text) is not None
