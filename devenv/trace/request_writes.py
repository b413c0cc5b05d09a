"""Does the traced request itself change what is stored? A GET must not: the next trace would blame the data.

The subject's newest items and the rows that they name are read again, by key, when the API was asked. Only when
something changed is the request sent again, between looks at the stores without it: a change that comes with each
request and never without one is the request's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import DevenvError
from devenv.core.model import Finding, Fix
from devenv.core.plural import number_of
from devenv.core.templates import Unknown
from devenv.core.value import Value
from devenv.links.facts import read_known_rows
from devenv.links.judge import Relation, judge
from devenv.links.read import ItemRecord, read_records
from devenv.links.values import as_text, canonical
from devenv.trace.again import SMALL, KnownRows, SubjectPart, items_now, part_of
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.layers.http import follow
from devenv.trace.layers.requests import requests_of
from devenv.trace.layers.subject_items import gather

if TYPE_CHECKING:
    from devenv.trace.layers.pages import Ask
    from devenv.trace.observation import Observations
    from devenv.trace.question import TraceContext

Row = Mapping[str, Any]
ROUNDS: Final = 2
# Somebody who writes several times a second is seen in this time.
QUIET_S: Final = 0.4
# So many items of the subject are looked at, the newest; the report says so where it has more.
ITEMS: Final = 1_000
NAMED: Final = 3
LAYERS: Final = frozenset(["postgres", "dynamodb", "cross-store"])


class StoredThing(Value, frozen=True):
    """One item or row: its fields, what it is known by in findings, and its identity besides a key that may move."""

    name: str
    fields: Mapping[str, str]
    same: tuple[str, ...]


class Changed(Value, frozen=True):
    """One field that is not what it was. None: the item or the field is not there."""

    thing: StoredThing
    field: str
    before: str | None
    after: str | None


class Writes(Value, frozen=True):
    """The changes that came with the request: `own` if they come with each one, else `meanwhile`.

    `hidden` are the fields that hold people's own words; `left` counts the items that were not looked at.
    """

    own: tuple[Changed, ...] = ()
    meanwhile: tuple[Changed, ...] = ()
    hidden: frozenset[str] = frozenset()
    left: int = 0


class WriteWatch(Value, frozen=True):
    """The subject's part of both stores, and those of its items that are looked at; `left` are the others."""

    inquiry: TraceContext
    part: SubjectPart
    records: tuple[ItemRecord, ...]
    left: tuple[ItemRecord, ...]
    person: Row | None


Things = Mapping[str, StoredThing]


def find_writes(inquiry: TraceContext, seen: Observations) -> Writes:
    """Look again, and ask again only where something changed. Nothing where that cannot be told."""
    declared = inquiry.question.trace.request
    if declared is None or declared.method != "GET" or seen.http.member is None or seen.http.member.status is None:
        return Writes()
    try:
        watched = watch(inquiry, seen.postgres.person)
        before = things_of(watched.records, watched.part.rows)
        if not is_changed(watched, before):
            return Writes(left=len(watched.left))
        url = inquiry.facts.context.targets.backend_url
        ask = requests_of(inquiry, declared, url or "", watched.person, None)["member"]
        changes = tuple(compare_things(before, look(watched)))
        own = send_again(watched, ask) if changes else ()
    except (DevenvError, Unknown):
        return Writes()
    hidden = frozenset(inquiry.question.trace.payload)
    return Writes(own, () if own else changes, hidden, len(watched.left))


def send_again(watched: WriteWatch, ask: Ask) -> tuple[Changed, ...]:
    """The changes of each further request; () as soon as one does not, or something changes without one."""
    declared = watched.inquiry.question.trace.request
    assert declared is not None  # noqa: S101 - it was sent
    found: tuple[Changed, ...] = ()
    for _ in range(ROUNDS):
        before = look(watched)
        time.sleep(QUIET_S)
        quiet = look(watched)
        if quiet != before:
            return ()
        follow(declared, ask)
        found = tuple(compare_things(quiet, look(watched)))
        if not found:
            return ()
    return found


# --- looks ---


def watch(inquiry: TraceContext, person: Row | None, small: int = SMALL, most: int = ITEMS) -> WriteWatch:
    """Return what is looked at: the subject's newest items and all rows that its items name."""
    part = part_of(inquiry, person, small)
    newest = inquiry.question.trace.sorted_by or ""
    records = sorted(part.records, key=lambda one: one.values.get(newest, "~"), reverse=True)
    return WriteWatch(inquiry, part, tuple(records[:most]), tuple(records[most:]), person)


def look(watched: WriteWatch) -> Things:
    """The subject's items, in their partitions, and the rows that they named, as they are now."""
    inquiry = watched.inquiry
    rows = read_known_rows(inquiry.facts, watched.part.rows)
    items = items_now(inquiry, watched.part.places)
    plan = inquiry.facts.known_plan()
    known = tuple(edge for edge in plan.edges if edge.relation in rows)
    found = judge(replace(plan, edges=known), items, rows, inquiry.facts.context.now())
    gathered = gather(inquiry, found, watched.person)
    records = replace(watched.part, gathered=gathered).records
    left = frozenset(map(name_of, watched.left))
    return things_of((one for one in records if name_of(one) not in left), by_place(watched, rows))


def things_of(records: Iterable[ItemRecord], rows: KnownRows) -> Things:
    """Items and rows by what tells each from the others."""
    found = {name_of(record): item_thing(record) for record in records}
    return {**found, **dict(row_thing(table, column, row) for (table, column), many in rows.items() for row in many)}


def by_place(watched: WriteWatch, rows: Mapping[Relation, Sequence[Row]]) -> KnownRows:
    """Rows by table and column, as the subject's part has them."""
    return {place: rows.get(place[0], ()) for place in watched.part.rows}


def name_of(record: ItemRecord) -> str:
    """One name for each item of all tables."""
    return f"{record.table} {record.key_text}"


def item_thing(record: ItemRecord) -> StoredThing:
    """An item by its declared fields. Its sort key may move; what else it is stays."""
    kind = record.kind or record.near
    first = record.key_text.partition(" ")[0]
    unique = [record.values.get(name, "") for name in kind.unique] if kind else []
    return StoredThing(f"item {record.key_text}", dict(record.values), (kind.name if kind else "", first, *unique))


def row_thing(relation: tuple[str, str], column: str, row: Row) -> tuple[str, StoredThing]:
    """A row, by the column that links name."""
    name, identity = ".".join(relation), canonical(row[column])
    texts = {column: text for column, value in row.items() if (text := as_text(value)) is not None}
    return f"{name} {identity}", StoredThing(name, texts, (name, identity))


def is_changed(watched: WriteWatch, before: Things) -> bool:
    """Return True if one of these items or rows, read by its key, is not what it was."""
    rows = read_known_rows(watched.inquiry.facts, watched.part.rows)
    now = things_of(records_now(watched), by_place(watched, rows))
    unkeyed = {name_of(one) for one in watched.records if len(one.key) < len(one.keys)}
    return any(now.get(name) != thing for name, thing in before.items() if name not in unkeyed)


def records_now(watched: WriteWatch) -> Iterator[ItemRecord]:
    """The watched items as they are now, by their keys."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    by_table: dict[str, list[ItemRecord]] = {}
    for record in watched.records:
        if len(record.key) == len(record.keys):
            by_table.setdefault(record.table, []).append(record)
    plan = watched.inquiry.facts.known_plan()
    with Dynamo(read_only(watched.inquiry.facts.context.targets.dynamodb)) as dynamodb:
        for table, mine in by_table.items():
            yield from read_records(plan, table, dynamodb.read_keys(table, [one.key for one in mine]))


# --- what changed ---


def compare_things(before: Things, after: Things) -> Iterator[Changed]:
    """Fields of things that are in both, and of items that moved to another key. Pure.

    What is new or gone as a whole is somebody's own writing, and no change of what was compared.
    """
    lost = [thing for name, thing in before.items() if name not in after]
    new = [thing for name, thing in after.items() if name not in before]
    pairs = [(thing, after[name]) for name, thing in before.items() if name in after]
    for old in lost:
        moved = next((thing for thing in new if thing.same == old.same and shares(thing, old)), None)
        if moved is not None:
            new.remove(moved)
            pairs.append((old, moved))
    for old, now in pairs:
        for name in dict.fromkeys([*old.fields, *now.fields]):
            if old.fields.get(name) != now.fields.get(name):
                yield Changed(old, name, old.fields.get(name), now.fields.get(name))


def shares(one: StoredThing, other: StoredThing) -> bool:
    """Return True if at least half of the fields agree: the same item under another key."""
    equal = sum(other.fields.get(name) == text for name, text in one.fields.items())
    return 2 * equal >= len(one.fields)


# --- words ---


def finding_of(writes: Writes, known: Sequence[LayerFinding]) -> Finding | None:
    """`request_writes`, which explains the faults that are known of the same items and rows."""
    if not writes.own:
        return None
    told = list(texts_of(writes.own, writes.hidden))
    listed = "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")
    names = {text for one in writes.own for text in (*one.thing.same, *one.thing.fields.values())}
    names |= {one.thing.name.removeprefix("item ") for one in writes.own}
    columns = {f"`{one.field}` is" for one in writes.own if not one.thing.name.startswith("item ")}
    explained = [
        one
        for one in known
        if (one.layer in LAYERS and names & set(one.subjects))
        # The lookup of the user was asked after the row had changed.
        or (one.kind == "wrong_row" and any(text in one.summary for text in columns))
    ]
    return Finding(
        "request_writes",
        f"the request changed {listed}",
        f"each request changes this, and it does not change between requests (checked {ROUNDS} more times)",
        Fix("remove the write from the code that answers this GET, or move it to a request of its own"),
        tuple(dict.fromkeys(one.thing.name.removeprefix("item ") for one in writes.own)),
        frozenset(one.field for one in writes.own),
        frozenset((one.kind, one.subjects) for one in explained),
    )


def notes_of(writes: Writes) -> tuple[str, ...]:
    """Sentences about what changed during the trace and may be somebody else's writing, and about what was not seen."""
    told = list(texts_of(writes.meanwhile, writes.hidden))[:NAMED]
    older = number_of(writes.left, "older one was", "older ones were")
    unseen = f"writes of the request were looked for in the newest {number_of(ITEMS, 'item')}; {older} not looked at"
    return (*(f"written during the trace: {text}" for text in told), *([unseen] if writes.left else []))


def texts_of(changes: Sequence[Changed], hidden: frozenset[str]) -> Iterator[str]:
    """`item GRP#1 2026-01-01: sk '…' → '…'`; `public.users.name of 12: 'a' → 'b'`. No words of people's own."""
    for one in changes:
        values = "another text" if one.field in hidden else f"{one.before or 'missing'} → {one.after or 'missing'}"
        item = one.thing.name.startswith("item ")
        yield (
            f"{one.thing.name}: {one.field} {values}"
            if item
            else (f"{one.thing.name}.{one.field} of {one.thing.same[-1]}: {values}")
        )
