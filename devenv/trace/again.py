"""The subject's part of both stores as it is now, read by key: its partitions, and the rows that its items name.

A small table is read whole, as is one where no key of the subject's items is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.core.errors import StoreError
from devenv.core.templates import Unknown
from devenv.core.value import Value
from devenv.links.facts import Key, key_of, read_known_rows, read_partitions
from devenv.links.judge import Item, Relation, Row, read_records
from devenv.links.packed import PackedItems
from devenv.links.read import ItemRecord, Kind
from devenv.links.shown import LinkedRows
from devenv.stores.dynamodb.key_schema import table_keys
from devenv.trace.answers import form_of_items
from devenv.trace.layers.subject_items import SubjectItems, gather_own

if TYPE_CHECKING:
    from devenv.trace.question import TraceContext

# A table with at most so many items is read whole: that is one request or two.
SMALL: Final = 1_000
# So is one where the subject's items lie in more partitions than this: a request for each takes longer.
PARTITIONS: Final = 200
# Table -> the partitions to read; None: the whole table.
Places = Mapping[str, frozenset[Key] | None]
KnownRows = Mapping[tuple[Relation, str], Sequence[Row]]


class SubjectPart(Value, frozen=True):
    """The subject's records as the trace's one look found them, where they lie, and the rows that they name."""

    gathered: SubjectItems
    places: Places
    rows: KnownRows

    @property
    def records(self) -> tuple[ItemRecord, ...]:
        """The group's rows, then the entries, each once."""
        records = (*self.gathered.rows, *self.gathered.entries)
        return tuple({id(record): record for record in records}.values())


def part_of(inquiry: TraceContext, person: Row | None, small: int = SMALL) -> SubjectPart:
    """The subject's part of both stores. Unknown when a parameter is not known, StoreError when a store is not."""
    found = inquiry.facts.judgement()
    gathered = gather_own(inquiry, person)
    mine = {id(record) for record in (*gathered.rows, *gathered.entries)}
    rows: dict[tuple[Relation, str], dict[int, Row]] = {}
    for one in found.named:
        if one.row is not None and id(one.record) in mine:
            rows.setdefault((one.edge.relation, one.edge.column), {})[id(one.row)] = one.row
    return SubjectPart(
        gathered, places_of(inquiry, gathered, small), {place: tuple(each.values()) for place, each in rows.items()}
    )


def places_of(inquiry: TraceContext, gathered: SubjectItems, small: int) -> Places:
    """The partitions of the subject's items, and those where the declared keys put further ones; small tables whole."""
    plan, facts = inquiry.facts.known_plan(), inquiry.facts.dynamodb()
    names = {part.entity for part in inquiry.question.trace.kinds}
    found: dict[str, set[Key] | None] = {}
    for record in (*gathered.rows, *gathered.entries):
        add(found, record.table, key_of(record.item, plan.keys.get(record.table, ())))
    for kind in (kind for kind in plan.kinds if kind.name in names):
        add(found, kind.table, partition_of(kind, facts.described.get(kind.table), gathered.wanted.get(kind.name, {})))
    places = {t: frozenset(keys) if keys and len(keys) <= PARTITIONS else None for t, keys in found.items()}
    return {**places, **small_tables(inquiry, small)}


def small_tables(inquiry: TraceContext, small: int) -> Places:
    """The tables that are read whole."""
    return {table: None for table, items in inquiry.facts.dynamodb().items.items() if len(items) <= small}


def add(found: dict[str, set[Key] | None], table: str, key: Key | None) -> None:
    """Note a partition of a table; with one that is not known, the table's are not known."""
    keys = found.setdefault(table, set())
    if key is None or keys is None:
        found[table] = None
    else:
        keys.add(key)


def partition_of(kind: Kind, described: Mapping[str, Any] | None, wanted: Mapping[str, str]) -> Key | None:
    """The partition of a subject's items of a kind, as their key is declared; None if it takes more than is known."""
    hash_key = next(iter(table_keys(described)), "") if described else ""
    types = {one["AttributeName"]: one["AttributeType"] for one in (described or {}).get("AttributeDefinitions", ())}
    template = dict(kind.matchers).get(hash_key)
    if template is None or not set(template.names) <= wanted.keys():
        return None
    return str(types.get(hash_key, "S")), template.fill(wanted[name] for name in template.names)


def items_now(inquiry: TraceContext, places: Places) -> dict[str, PackedItems]:
    """Return what these places hold now. StoreError when DynamoDB does not answer."""
    context, keys = inquiry.facts.context, inquiry.facts.known_plan().keys
    return {
        table: PackedItems(read_partitions(context, table, keys.get(table, ()), wanted))
        for table, wanted in places.items()
    }


def items_seen(inquiry: TraceContext, places: Places) -> dict[str, Iterable[Item]]:
    """Return what the trace's one look found there."""
    items, keys = inquiry.facts.dynamodb().items, inquiry.facts.known_plan().keys
    return {
        table: (item for item in items.get(table, ()) if wanted is None or key_of(item, keys.get(table, ())) in wanted)
        for table, wanted in places.items()
    }


def changed_items(inquiry: TraceContext, places: Places) -> dict[str, set[bytes]]:
    """The items that only one of the two looks found as they are: written, changed or deleted since, by table."""
    now = items_now(inquiry, places)
    return {
        table: {encode(item) for item in items} ^ {encode(item) for item in now[table]}
        for table, items in items_seen(inquiry, places).items()
    }


def encode(item: Item) -> bytes:
    """An item as bytes that are equal for equal items, in whatever order their attributes come."""
    return msgspec.json.encode(item, order="deterministic")


def was_written(inquiry: TraceContext, person: Row | None, small: int = SMALL) -> bool:
    """Return True if DynamoDB does not hold what the trace saw: a difference between layers may be no fault then."""
    try:
        try:
            places = part_of(inquiry, person, small).places
        except Unknown:
            places = small_tables(inquiry, small)
        return any(changed_items(inquiry, places).values())
    except StoreError:
        return False


def written_entries(inquiry: TraceContext, person: Row | None, small: int = SMALL) -> frozenset[str]:
    """The ids of the entries that are not what they were. StoreError when a store does not answer; Unknown."""
    part = part_of(inquiry, person, small)
    form = form_of_items(inquiry.question.trace, inquiry.facts.plan, rows=inquiry.linked_rows)
    if form is None:
        return frozenset()
    changed = changed_items(inquiry, {form.table: part.places[form.table]})[form.table]
    records = read_records(inquiry.facts.known_plan(), form.table, map(msgspec.json.decode, changed))
    found = {form.entry(record).id for record in records if form.part(record) is not None}
    if inquiry.linked:
        rows = LinkedRows(read_known_rows(inquiry.facts, part.rows))
        later = form_of_items(inquiry.question.trace, inquiry.facts.plan, rows=rows)
        assert later is not None  # noqa: S101 - it is the same form
        for record in part.gathered.entries:
            if form.entry(record) != later.entry(record):
                found.add(form.entry(record).id)
    return frozenset(map(str, found))
