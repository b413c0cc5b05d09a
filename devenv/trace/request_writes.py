"""Does the traced request itself change what is stored? A GET must not: the next trace would blame the data.

Both stores are read again when the API was asked. Only when something changed is the request sent again, between looks
at the stores without it: a change that comes with each request and never without one is the request's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import Finding, Fix
from devenv.core.templates import Unknown
from devenv.links.facts import Facts, read_rows, readable_columns
from devenv.links.read import ItemRecord, read_record
from devenv.links.values import as_text, canonical
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.layers.dynamodb import gather
from devenv.trace.layers.http import follow
from devenv.trace.layers.requests import requests_of

if TYPE_CHECKING:
    from devenv.trace.layers.pages import Ask
    from devenv.trace.observation import Observations
    from devenv.trace.question import TraceContext

Row = Mapping[str, Any]
ROUNDS: Final = 2
# Somebody who writes several times a second is seen in this time.
QUIET_S: Final = 0.4
# So many items are read again by their keys.
ITEMS: Final = 300
NAMED: Final = 3
LAYERS: Final = frozenset(["postgres", "dynamodb", "cross-store"])


@dataclass(frozen=True)
class StoredThing:
    """One item or row: its fields, what it is known by in findings, and its identity besides a key that may move."""

    name: str
    fields: Mapping[str, str]
    same: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """One field that is not what it was. None: the item or the field is not there."""

    thing: StoredThing
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Writes:
    """The changes that came with the request: `own` if they come with each one, else `meanwhile`.

    `hidden` are the fields that hold people's own words.
    """

    own: tuple[Changed, ...] = ()
    meanwhile: tuple[Changed, ...] = ()
    hidden: frozenset[str] = frozenset()


Things = Mapping[str, StoredThing]


def find_writes(inquiry: TraceContext, seen: Observations) -> Writes:
    """Look again, and ask again only where something changed. Nothing where that cannot be told."""
    declared = inquiry.question.trace.request
    if declared is None or declared.method != "GET" or seen.http.member is None or seen.http.member.status is None:
        return Writes()
    person = seen.postgres.person
    try:
        before = things_of(inquiry, inquiry.facts, person)
        if not (items_changed(inquiry, before, person) or rows_changed(inquiry, before)):
            return Writes()
        url = inquiry.facts.context.targets.backend_url
        ask = requests_of(inquiry, declared, url or "", person, None)["member"]
        now = look(inquiry, person)
        changes = tuple(compare_things(before, now))
        own = send_again(inquiry, ask, person) if changes else ()
    except (DevenvError, Unknown):
        return Writes()
    hidden = frozenset(inquiry.question.trace.payload)
    return Writes(own, (), hidden) if own else Writes((), changes, hidden)


def send_again(inquiry: TraceContext, ask: Ask, person: Row | None) -> tuple[Changed, ...]:
    """The changes of each further request; () as soon as one does not, or something changes without one."""
    declared = inquiry.question.trace.request
    assert declared is not None  # noqa: S101 - it was sent
    found: tuple[Changed, ...] = ()
    for _ in range(ROUNDS):
        before = look(inquiry, person)
        time.sleep(QUIET_S)
        quiet = look(inquiry, person)
        if quiet != before:
            return ()
        follow(declared, ask)
        found = tuple(compare_things(quiet, look(inquiry, person)))
        if not found:
            return ()
    return found


# --- looks ---


def look(inquiry: TraceContext, person: Row | None) -> Things:
    """The subject's items and the linked rows as they are now."""
    return things_of(inquiry, Facts(inquiry.facts.context, looks=0), person)


def things_of(inquiry: TraceContext, facts: Facts, person: Row | None) -> Things:
    """The subject's items and the linked rows of these facts, by what tells each from the others."""
    records = subject_records(replace(inquiry, facts=facts), person)
    found = {record.key_text: item_thing(record) for record in records}
    return {**found, **dict(row_things(inquiry, facts))}


def subject_records(inquiry: TraceContext, person: Row | None) -> Sequence[ItemRecord]:
    """The group's rows, then the entries."""
    gathered = gather(inquiry, inquiry.facts.judgement(), person)
    return tuple({id(record): record for record in (*gathered.rows, *gathered.entries)}.values())


def item_thing(record: ItemRecord) -> StoredThing:
    """An item by its declared fields. Its sort key may move; what else it is stays."""
    kind = record.kind or record.near
    first = record.key_text.partition(" ")[0]
    unique = [record.values.get(name, "") for name in kind.unique] if kind else []
    return StoredThing(f"item {record.key_text}", dict(record.values), (kind.name if kind else "", first, *unique))


def row_things(inquiry: TraceContext, facts: Facts) -> Iterator[tuple[str, StoredThing]]:
    """The linked columns of the linked tables' rows; none where Postgres cannot be read."""
    try:
        rows = facts.postgres().rows
    except StoreError:
        return
    for edge in inquiry.facts.plan.edges:
        for row in rows.get(edge.relation, ()):
            yield row_thing(edge.relation, edge.column, row)


def row_thing(relation: tuple[str, str], column: str, row: Row) -> tuple[str, StoredThing]:
    """A row, by the column that links name."""
    name, identity = ".".join(relation), canonical(row[column])
    texts = {column: text for column, value in row.items() if (text := as_text(value)) is not None}
    return f"{name} {identity}", StoredThing(name, texts, (name, identity))


def items_changed(inquiry: TraceContext, before: Things, person: Row | None) -> bool:
    """Return True if one of these items, read by its key, is not what it was."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    records = [one for one in subject_records(inquiry, person) if len(one.key) == len(one.keys)]
    newest = inquiry.question.trace.sorted_by or ""
    records.sort(key=lambda one: one.values.get(newest, "~"), reverse=True)
    by_table: dict[str, list[ItemRecord]] = {}
    for record in records[:ITEMS]:
        by_table.setdefault(record.table, []).append(record)
    plan = inquiry.facts.known_plan()
    with Dynamo(read_only(inquiry.facts.context.targets.dynamodb)) as dynamodb:
        for table, mine in by_table.items():
            kinds = tuple(kind for kind in plan.kinds if kind.table == table)
            items = dynamodb.read_keys(table, [one.key for one in mine])
            found = (read_record(kinds, table, plan.keys.get(table, ()), item) for item in items)
            now = {one.key_text: dict(one.values) for one in found}
            if any(now.get(one.key_text) != before[one.key_text].fields for one in mine):
                return True
    return False


def rows_changed(inquiry: TraceContext, before: Things) -> bool:
    """Return True if one of these rows is not what it was."""
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    plan = inquiry.facts.plan
    if not any(edge.relation in inquiry.facts.postgres().rows for edge in plan.edges):
        return False
    target = inquiry.facts.context.targets.postgres
    with reading(target) as connection, postgres.translated(target.address):
        for edge in {edge.relation: edge for edge in plan.edges}.values():
            columns = readable_columns(inquiry.facts.postgres().readable, edge.relation, plan.relations[edge.relation])
            for row in read_rows(connection, edge.relation, columns or ()) if columns else ():
                name, thing = row_thing(edge.relation, edge.column, row)
                if name in before and before[name].fields != thing.fields:
                    return True
    return False


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
        f"this changes with each request, and not between requests (looked at {ROUNDS} more times)",
        Fix("remove the write from the code that answers this GET, or move it to a request of its own"),
        tuple(dict.fromkeys(one.thing.name.removeprefix("item ") for one in writes.own)),
        frozenset(one.field for one in writes.own),
        frozenset((one.kind, one.subjects) for one in explained),
    )


def notes_of(writes: Writes) -> tuple[str, ...]:
    """Sentences about what changed during the trace and is not known to come with each request."""
    told = list(texts_of(writes.meanwhile, writes.hidden))[:NAMED]
    return tuple(f"written during the trace: {text}" for text in told)


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
