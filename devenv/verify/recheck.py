"""Candidates read again from both stores and judged as doctor judges: nothing is reported that was seen only once.

A scan is no snapshot: an item may have moved, a row may have been added. So every candidate is looked at twice, some
time apart, each time with consistent reads of both stores and with what belongs to it (its group's rows, the rows
that its ids mean); only what was wrong both times, in the same words, is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from devenv.config.schema import Group
from devenv.links.judge import VERIFY_NAMES, Fault, Item, ItemRecord, Kind, LinkJudgement, ReadPlan, judge
from devenv.links.matching import look_up
from devenv.links.read import read_record
from devenv.links.recreated import has_unkeyed_orphans, is_unkeyed_orphan, make_probes
from devenv.links.values import scalar_text, uuid_text
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.postgres.catalog import Catalog, read_catalog
from devenv.stores.postgres.client import Connection
from devenv.verify.candidate_filter import ODD, group_channels, identity_fields, link_channel, unique_channel
from devenv.verify.join import Candidate, Place
from devenv.verify.rows import find_rows
from devenv.verify.run import Run, segment_name
from devenv.verify.spill import key_of, read_keys

CHUNK_ITEMS: Final = 400
# A group's entries all tell the same: where its rows should be.
GROUP_PLACES: Final = 20
ROUNDS: Final = 3
# Items of a table that orphans are held against.
PAGE: Final = 100
FIELD_FAULTS: Final = frozenset(["malformed_key", "malformed_id", "placeholder", "wrong_type", "missing_attribute"])
LINK_FAULTS: Final = frozenset(["orphan", "mismatched_id", "stale_copy", "placeholder"])
GROUP_FAULTS: Final = frozenset(["half_group", "duplicate", "foreign_member"])

Key = dict[str, dict[str, Any]]


class Suspect(msgspec.Struct, frozen=True):
    """A candidate with the keys of its items: (table, key). `key` is hexadecimal."""

    channel: str
    key: str
    items: tuple[tuple[str, Key], ...]


class Chunk(msgspec.Struct, frozen=True):
    """Suspects that are looked at together, and items that help to tell what their ids mean (`teachers`).

    `seen` are digests of the faults that the first look found.
    """

    suspects: tuple[Suspect, ...]
    teachers: tuple[tuple[str, Key], ...] = ()
    seen: frozenset[str] = frozenset()


def make_chunks(run: Run, plan: ReadPlan, candidates: Iterable[Candidate]) -> Iterator[Chunk]:
    """Candidates with their items' keys, so many together that they fit into memory.

    Ids without a natural key beside them are taught by other items with the same id, so these go along.
    """
    waiting: list[tuple[Candidate, tuple[Place, ...]]] = []
    teachers: dict[bytes, Place] = {}
    needed: dict[Place, None] = {}
    held = 0
    teaching = {link_channel(number): bool(edge.natural) for number, edge in enumerate(plan.edges)}
    for candidate in candidates:
        places = candidate.places[:GROUP_PLACES] if candidate.channel.startswith("rows:") else candidate.places
        for first in range(0, len(places), CHUNK_ITEMS):
            if teaching.get(candidate.channel):
                teachers.setdefault(candidate.key, places[first])
            elif candidate.channel in teaching and candidate.key in teachers:
                needed[teachers[candidate.key]] = None
            waiting.append((candidate, places[first : first + CHUNK_ITEMS]))
            held += len(waiting[-1][1])
            if held >= CHUNK_ITEMS:
                yield make_chunk(run, waiting, list(needed))
                waiting, needed, held = [], {}, 0
    if waiting:
        yield make_chunk(run, waiting, list(needed))


def make_chunk(run: Run, waiting: Sequence[tuple[Candidate, tuple[Place, ...]]], teachers: Sequence[Place]) -> Chunk:
    """A chunk of these candidates, each with some of its places."""
    found = keys_at(run, {*teachers, *(place for _, places in waiting for place in places)})
    suspects = tuple(
        Suspect(candidate.channel, candidate.key.hex(), tuple(found[place] for place in places))
        for candidate, places in waiting
    )
    return Chunk(suspects, tuple(found[place] for place in teachers))


def keys_at(run: Run, places: Iterable[Place]) -> dict[Place, tuple[str, Key]]:
    """(task, item number) -> (table, key) of the item."""
    by_task: dict[int, list[int]] = {}
    for task, position in places:
        by_task.setdefault(task, []).append(position)
    found: dict[Place, tuple[str, Key]] = {}
    for task, positions in by_task.items():
        table = run.tasks[task].table
        types = run.keys[table]
        for position, values in read_keys(run.folder, segment_name(task), positions).items():
            found[task, position] = table, {n: {types[n]: value} for n, value in zip(types, values, strict=True)}
    return found


class StoreReader:
    """Both stores, open for looking. Items are read whole, so that a repair knows what was there."""

    def __init__(self, plan: ReadPlan, dynamodb: Dynamo, connection: Connection) -> None:
        self.plan = plan
        self.dynamodb = dynamodb
        self.connection = connection
        self.catalog: Catalog | None = None
        self.pages: dict[str, list[Item]] = {}

    def look(self, chunk: Chunk) -> LinkJudgement:
        """Return what the chunk's items look like now. StoreError when either store cannot be asked."""
        items = self.read_items(chunk)
        flat = {table: list(found.values()) for table, found in items.items()}
        rows = find_rows(self.connection, self.plan, flat)
        return judge(self.plan, flat, rows, datetime.now(UTC))

    def explain(self, judgement: LinkJudgement) -> LinkJudgement:
        """The judgement in which orphans name the rows that are there under other ids, as far as a sample tells."""
        if not has_unkeyed_orphans(judgement):
            return judgement
        self.catalog = self.catalog or read_catalog(self.connection)
        probes = make_probes(self.plan, self.catalog, judgement.faults, self.peers(judgement))
        return look_up(self.connection, judgement, probes)

    def peers(self, judgement: LinkJudgement) -> dict[str, list[tuple[Item, str]]]:
        """Link -> some items with the ids that they name: of one page of each table with orphans."""
        for table in {f.record.table for f in judgement.faults if f.record is not None and is_unkeyed_orphan(f)}:
            if table not in self.pages:
                self.pages[table] = self.dynamodb.call("Scan", {"TableName": table, "Limit": PAGE})["Items"]
        return {
            edge.name: [(item, id) for item in self.pages.get(edge.table, ()) for id in edge.ids(item)]
            for edge in self.plan.edges
        }

    def read_items(self, chunk: Chunk) -> dict[str, dict[bytes, Item]]:
        """table -> its items by key: the chunk's, and the rows of the groups that it is about."""
        keys: dict[str, dict[bytes, Key]] = {}
        for table, key in (*(one for suspect in chunk.suspects for one in suspect.items), *chunk.teachers):
            keys.setdefault(table, {})[key_bytes(key)] = key
        items: dict[str, dict[bytes, Item]] = {table: {} for table in self.plan.tables}
        for table, wanted in keys.items():
            self.take(items, table, self.dynamodb.read_keys(table, list(wanted.values())))
        for number, group in enumerate(self.plan.groups):
            self.read_groups(group, self.group_ids(number, group, chunk, items), items)
        return items

    def take(self, items: dict[str, dict[bytes, Item]], table: str, found: Iterable[Item]) -> None:
        """Put items in their place by key."""
        names = self.plan.keys[table]
        items[table].update((key_bytes({name: item[name] for name in names}), item) for item in found)

    def records(self, table: str, items: Iterable[Item]) -> Iterator[ItemRecord]:
        kinds = tuple(kind for kind in self.plan.kinds if kind.table == table)
        return (read_record(kinds, table, self.plan.keys[table], item) for item in items)

    def group_ids(
        self, number: int, group: Group, chunk: Chunk, items: Mapping[str, Mapping[bytes, Item]]
    ) -> set[bytes]:
        """The groups whose rows must be looked at: those that are suspects, and those of rows whose owner is."""
        rows, _ = group_channels(number)
        wanted = {bytes.fromhex(suspect.key) for suspect in chunk.suspects if suspect.channel == rows}
        kind = self.plan.kind(group.rows)
        alone = {link_channel(n) for n, e in enumerate(self.plan.edges) if e.table == kind.table and not e.natural}
        for suspect in chunk.suspects:
            if suspect.channel in alone:
                found = [items[t][key_bytes(key)] for t, key in suspect.items if key_bytes(key) in items[t]]
                wanted |= {
                    key_of(record.values[group.id])
                    for record in self.records(kind.table, found)
                    if record.kind is kind and group.id in record.values
                }
        return wanted

    def read_groups(self, group: Group, wanted: set[bytes], items: dict[str, dict[bytes, Item]]) -> None:
        """Add the rows that these groups have now, wherever they are by now, to `items`."""
        kind = self.plan.kind(group.rows)
        asked: set[bytes] = set()
        if not wanted:
            return
        for _ in range(ROUNDS):
            places = {
                key_bytes({"": value}): value
                for table in {kind.table, *(k.table for k in self.plan.kinds if k.name == group.entries)}
                for record in self.records(table, list(items[table].values()))
                if record.kind is not None and key_of(record.values.get(group.id, "")) in wanted
                for value in row_places(self.plan, group, record)
            }
            fresh = {mark: value for mark, value in places.items() if mark not in asked}
            asked |= fresh.keys()
            for value in fresh.values():
                found = [
                    record.item
                    for record in self.records(kind.table, self.query(kind.table, value))
                    if (record.kind or record.near) is kind and key_of(record.values.get(group.id, "")) in wanted
                ]
                self.take(items, kind.table, found)
            if not fresh:
                return

    def query(self, table: str, value: Mapping[str, Any]) -> Iterator[Item]:
        """Every item under one hash key, by consistent reads."""
        request = {
            "TableName": table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#h = :h",
            "ExpressionAttributeNames": {"#h": self.plan.keys[table][0]},
            "ExpressionAttributeValues": {":h": value},
        }
        for page in self.dynamodb.pages("Query", request):
            yield from page["Items"]


def row_places(plan: ReadPlan, group: Group, record: ItemRecord) -> Iterator[Mapping[str, Any]]:
    """The hash keys under which rows of a record's group can be, as far as the record tells."""
    kind = plan.kind(group.rows)
    hash_key = plan.keys[kind.table][0]
    values = record.values
    owners: list[str | None] = [None]
    if record.kind is kind:
        yield record.item[hash_key]
        owners = [values.get(group.other or ""), values.get(group.owner or "")]
    elif group.author:
        owners = [values.get(group.author)]
    for owner in owners:
        known = {group.id: values.get(group.id), group.owner: owner}
        text = fill(kind, hash_key, known)
        if text is not None:
            yield {next(iter(record.item.get(hash_key, {"S": ""}))): text}


def fill(kind: Kind, attribute: str, known: Mapping[str | None, str | None]) -> str | None:
    """The text of an attribute that these fields make up; None when they do not."""
    for matched, template in kind.matchers:
        if matched == attribute:
            texts = [known.get(name) for name in template.names]
            return None if None in texts else template.fill(text or "" for text in texts)
    return next((known.get(field.name) for field in kind.fields if field.attribute == attribute), None)


def key_bytes(key: Mapping[str, Any]) -> bytes:
    """A key as bytes, to tell keys apart."""
    return msgspec.json.encode(key, order="sorted")


def fault_mark(fault: Fault) -> str:
    """A digest of a fault's class, place and words: equal when the same was seen again."""
    place = key_bytes(fault.record.key) if fault.record is not None else b""
    return blake2b("\0".join((fault.kind, fault.note)).encode(errors="replace") + place, digest_size=8).hexdigest()


def answer_for(plan: ReadPlan, chunk: Chunk, judgement: LinkJudgement) -> list[tuple[Fault, str]]:
    """(fault, its class) of what the chunk's suspects are to answer for; other faults are others'."""
    suspects: dict[tuple[str, bytes | None], set[str]] = {}
    for suspect in chunk.suspects:
        for _, key in suspect.items:
            suspects.setdefault((suspect.channel, key_bytes(key)), set()).add(suspect.key)
        suspects.setdefault((suspect.channel, None), set()).add(suspect.key)
    edges = {edge.name: link_channel(number) for number, edge in enumerate(plan.edges)}
    groups = {group.name: group_channels(number)[0] for number, group in enumerate(plan.groups)}
    found = []
    for fault in judgement.faults:
        channel, place, about = address(fault, edges, groups)
        ids = suspects.get((channel, place), ())
        if ids and (about is None or about in ids):
            found.append((fault, class_name(fault)))
    return found


def address(fault: Fault, edges: Mapping[str, str], groups: Mapping[str, str]) -> tuple[str, bytes | None, str | None]:
    """The channel that reports a fault, the key of the item it must be about, and the id (None: any)."""
    key = key_bytes(fault.record.key) if fault.record is not None else None
    # Behind a prefix no uuid is read, so it is the id that was not found, and not the item that is odd.
    prefixed = fault.kind == "malformed_id" and fault.edge is not None and uuid_text(fault.observed or "") is None
    if fault.edge is not None and (fault.kind in LINK_FAULTS or prefixed):
        about = key_of(fault.subjects[-1]).hex() if fault.kind in ("orphan", "mismatched_id") else None
        about = key_of(fault.observed or "").hex() if prefixed else about
        return edges[fault.edge.name], key, about
    if fault.group is not None and fault.kind in GROUP_FAULTS:
        entry = fault.kind == "foreign_member" and fault.field is not None
        return ("" if entry else groups[fault.group]), None, key_of(fault.subjects[0]).hex()
    if fault.kind == "duplicate" and fault.record is not None:
        channel = unique_channel(fault.record.table, fault.attribute or "")
        return channel, None, key_of(fault.observed or "").hex()
    return (ODD if fault.kind in (*FIELD_FAULTS, "contradiction") else ""), key, None


def class_name(fault: Fault) -> str:
    """The class under which verify counts a fault."""
    if fault.edge is not None and fault.kind == "placeholder":
        return "stale_copy"
    return "malformed_id" if fault.kind in FIELD_FAULTS else VERIFY_NAMES.get(fault.kind, fault.kind)


def identity_faults(plan: ReadPlan, faults: Iterable[tuple[Fault, str]]) -> list[tuple[Fault, str]]:
    """The faults without those of fields that hold no ids: these are doctor's matter."""
    names = {kind.name: {field.name for field in identity_fields(plan, kind)} for kind in plan.kinds}
    return [
        (fault, name)
        for fault, name in faults
        if name != "malformed_id"
        or fault.kind == "contradiction"
        or fault.record is None
        or fault.record.kind is None
        or fault.field in names[fault.record.kind.name]
    ]


def describe(fault: Fault, name: str) -> dict[str, Any]:
    """A finding as one JSON line: its class, the item, its ids, what was seen and what belongs there."""
    record = fault.record
    return {
        "class": name,
        "table": record.table if record else None,
        "key": {attribute: scalar_text(value) for attribute, value in record.key.items()} if record else None,
        "ids": list(fault.subjects),
        "note": fault.note,
        "link": fault.edge.name if fault.edge else None,
        "group": fault.group,
        "attribute": fault.attribute,
        "observed": fault.observed,
        "expected": fault.expected,
        "safe": fault.safe,
    }
