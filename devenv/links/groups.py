"""Items that must exist together: rows, their owners, their entries and the preview. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from devenv.config.schema import Group
from devenv.core.plural import number_of
from devenv.links.faults import Fault
from devenv.links.fields import AHEAD
from devenv.links.read import ItemRecord, ReadPlan
from devenv.links.resolve import NamedId, Row, record_ids
from devenv.links.values import instant

# An entry and its group's rows may be written one after the other: a lag within this is a write, not a fault.
WRITE: Final = timedelta(seconds=2)
REPEATS: Final = 3


class Gathered(msgspec.Struct):
    """One group: its rows (own, and `damaged` ones that are meant to be its own), its entries, and expired entries."""

    rows: list[ItemRecord] = msgspec.field(default_factory=list)
    damaged: list[ItemRecord] = msgspec.field(default_factory=list)
    entries: list[ItemRecord] = msgspec.field(default_factory=list)
    expired: list[ItemRecord] = msgspec.field(default_factory=list)


def gather(group: Group, records: Sequence[ItemRecord], expired: Sequence[ItemRecord]) -> dict[str, Gathered]:
    """Records by the group's id. Records without a usable id belong to no group."""
    found: dict[str, Gathered] = {}
    for record, gone in [*((record, False) for record in records), *((record, True) for record in expired)]:
        kind = record.kind or record.near
        if kind is None or kind.name not in (group.rows, group.entries):
            continue
        identifier = record.id(group.id)
        if identifier is None:
            continue
        one = found.setdefault(identifier, Gathered())
        if kind.name == group.rows:
            broken = record.kind is None or group.id in record.bad or group.owner in record.bad
            if not gone:
                (one.damaged if broken else one.rows).append(record)
        else:
            (one.expired if gone else one.entries).append(record)
    return found


def find_group_faults(
    plan: ReadPlan, records: Sequence[ItemRecord], expired: Sequence[ItemRecord], now: datetime
) -> Iterator[Fault]:
    """`half_group`, `duplicate`, `foreign_member`, `stale_preview`, `missing_item`, for every declared group."""
    for group in plan.groups:
        # Items whose group id is unusable: somebody's missing half, or somebody's newest entry.
        unusable = [r for r in records if r.kind is not None and group.id in r.bad and group.id not in r.linked]
        lost_rows = [record for record in unusable if record.kind is not None and record.kind.name == group.rows]
        lost_entries = [r for r in unusable if r.kind is not None and r.kind.name == group.entries]
        gathered = gather(group, records, expired)
        yield from find_copied_groups(group, gathered)
        for identifier, one in gathered.items():
            if not one.rows and not one.damaged and not one.entries:
                continue
            if group.entries and all(group.id in record.bad for record in (*one.rows, *one.damaged, *one.entries)):
                continue
            yield from find_row_faults(group, identifier, one, lost_rows)
            yield from find_entry_faults(group, identifier, one)
            yield from find_preview_faults(plan, group, identifier, one, lost_entries, now)
            yield from find_repeats(group, identifier, one.entries)


def find_row_faults(group: Group, identifier: str, one: Gathered, lost: list[ItemRecord]) -> Iterator[Fault]:
    """Too few rows, two of one owner, or rows that do not name each other's owners."""
    owners = [record.id(group.owner) for record in one.rows] if group.owner else []
    present = len(set(owners)) if group.owner else len(one.rows)
    name = f"{group.name} {identifier}"
    if len(one.rows) > present:
        twice = sorted({str(owner) for owner in owners if owners.count(owner) > 1})
        note = (
            f"{name} has {number_of(len(one.rows), 'member item')} but {number_of(present, 'owner')}: more than one"
            f" belongs to {', '.join(twice)}"
        )
        yield Fault(
            "duplicate", (identifier, *twice), note, one.rows[0], group=group.name, partners=tuple(one.rows[1:])
        )
    elif present > group.size:
        note = f"{name} has {number_of(present, 'member item')}, not {group.size}"
        yield Fault("duplicate", (identifier,), note, one.rows[0], group=group.name, partners=tuple(one.rows[1:]))
    known = present + len(one.damaged) + sum(is_mirror(group, row, half) for row in one.rows for half in lost)
    if known < group.size and not any(is_alone(group, row) for row in one.rows):
        half = one.rows[0] if one.rows else None
        missing = half.id(group.other) if half is not None and group.other else None
        whose = f"; the member item of {missing} is missing" if missing else ""
        note = f"{name} has {known} of {number_of(group.size, 'member item')}{whose}"
        subjects = (identifier, missing) if missing else (identifier,)
        yield Fault("half_group", subjects, note, half, group=group.name, expected=missing)
    if group.owner and group.other and present == group.size:
        for record in one.rows:
            other = record.id(group.other)
            mine = record.id(group.owner)
            if group.other not in record.bad and other is not None and (other == mine or other not in owners):
                note = f"{name}: the member item of {mine} names {other}, who is not the other member"
                yield Fault("foreign_member", (identifier, other), note, record, group.other, group=group.name)


def with_partners(faults: Iterable[Fault], plan: ReadPlan, named: Iterable[NamedId]) -> Iterator[Fault]:
    """The faults; a missing half gets the row of the half that is there, and is safe, when both owners have rows.

    Then all that the missing half must say is known: it names that row, with that row's copies.
    """
    rows: dict[tuple[int, str], Row] | None = None
    for fault in faults:
        half = fault.record
        if fault.kind != "half_group" or half is None:
            yield fault
            continue
        if rows is None:
            rows = {(id(one.record), one.field): one.row for one in named if one.field and one.row is not None}
        group = next(group for group in plan.groups if group.name == fault.group)
        if group.size != 2 or not group.owner or not group.other:
            yield fault
            continue
        owner, other = rows.get((id(half), group.owner)), rows.get((id(half), group.other))
        sound = owner is not None and other is not None and owner is not other
        yield replace(fault, row=owner, safe=sound)


def is_alone(group: Group, row: ItemRecord) -> bool:
    """Return True if `row` is that of somebody's conversation with himself, which has no other half."""
    return bool(group.owner and group.other) and row.id(group.owner or "") == row.id(group.other or "") is not None


def is_mirror(group: Group, row: ItemRecord, half: ItemRecord) -> bool:
    """Return True if `half`, whose group id is unusable, is the other half of `row`."""
    if not group.owner or not group.other:
        return False
    return (row.id(group.owner), row.id(group.other)) == (half.id(group.other), half.id(group.owner))


def find_entry_faults(group: Group, identifier: str, one: Gathered) -> Iterator[Fault]:
    """Entries whose author is not a member."""
    if not (group.owner and group.author and one.rows):
        return
    members = {record.id(group.owner) for record in (*one.rows, *one.damaged)}
    if len(members) < group.size and group.other:
        members |= {record.id(group.other) for record in one.rows}
    if one.damaged or any(group.other in record.bad for record in one.rows):
        return
    for record in one.entries:
        author = record.id(group.author)
        if author is not None and group.author not in record.bad and author not in members:
            note = f"{group.name} {identifier}: {' '.join(record_ids(record))} is by {author}, who is not a member"
            subjects = (*record_ids(record), identifier, author)
            yield Fault("foreign_member", subjects, note, record, group.author, group.author, group=group.name)


def find_preview_faults(
    plan: ReadPlan, group: Group, identifier: str, one: Gathered, lost: list[ItemRecord], now: datetime
) -> Iterator[Fault]:
    """Rows that do not show the newest entry. Future entries are a fault of their own: not compared with, but a row
    that shows one as it was before somebody moved it is part of that fault.

    `lost` are entries whose group id is unusable: what a row shows may be one of them.
    """
    if not group.time or not one.entries:
        return
    times = [(moment, record) for record in one.entries if (moment := moment_of(record, group.time))]
    past = [pair for pair in times if pair[0] <= now + AHEAD]
    if not past:
        return
    newest, entry = max(past, key=lambda pair: pair[0])
    gone = {moment_of(record, group.time) for record in (*one.expired, *lost)}
    ahead = [record for moment, record in times if moment > now + AHEAD]
    unreadable = len(times) < len(one.entries)
    for row in newest_rows(group, one.rows):
        shown = moment_of(row, group.time)
        if shown is None or shown > now + AHEAD:
            continue
        name = f"{group.name} {identifier}: the member item of {row.id(group.owner) if group.owner else row.key_text}"
        earlier = newest > shown and shows_earlier(group, row, newest, past)
        if newest - shown > WRITE or earlier:
            note = (
                f"{name} shows the time {row.values[group.time]}, but the newest entry has {entry.values[group.time]}"
            )
            yield preview_fault("stale_preview", identifier, group, row, entry, note)
        elif shown - newest > WRITE and not (
            shown in gone or unreadable or expires(plan, group) or any(shows(group, row, record) for record in ahead)
        ):
            note = f"{name} shows an entry of {row.values[group.time]} that does not exist"
            yield Fault("missing_item", (identifier,), note, row, group=group.name, partners=(entry,))
        elif shown == newest and not any(shows(group, row, record) for moment, record in past if moment == newest):
            wrong = ", ".join(
                mine
                for mine, theirs in group.preview.items()
                if not shows_field(row, record=entry, mine=mine, theirs=theirs)
            )
            note = f"{name} does not show the {wrong} of the newest entry"
            yield preview_fault("stale_preview", identifier, group, row, entry, note)


def shows_earlier(
    group: Group, row: ItemRecord, newest: datetime, entries: Iterable[tuple[datetime, ItemRecord]]
) -> bool:
    """Return True if the row is an earlier entry's, field by field: no clock's resolution explains that.

    Not where it also says what an entry of the moment `newest` says: times in whole seconds do not tell them apart.
    """
    shown = moment_of(row, group.time or "")
    moments = {moment for moment, record in entries if shows(group, row, record)}
    return shown in moments and newest not in moments


def settles_in(groups: Iterable[Group], faults: Iterable[Fault], now: datetime) -> timedelta:
    """How long to wait until no item of these faults of groups is younger than a write takes, by its own time."""
    times = {group.name: group.time for group in groups if group.time}
    moments = [
        moment
        for fault in faults
        if fault.group in times
        for record in (fault.record, *fault.partners)
        if record is not None and (moment := moment_of(record, times[fault.group])) is not None
    ]
    return max(timedelta(0), min(WRITE, WRITE - (now - max(moments)))) if moments else timedelta(0)


def newest_rows(group: Group, rows: Sequence[ItemRecord]) -> Iterable[ItemRecord]:
    """Each owner's newest row: a second one is a duplicate, whatever it shows."""
    if not group.owner or not group.time:
        return rows
    newest: dict[str | None, ItemRecord] = {}
    for row in sorted(rows, key=lambda row: row.values.get(group.time or "", "")):
        newest[row.id(group.owner)] = row
    return newest.values()


def preview_fault(kind: str, identifier: str, group: Group, row: ItemRecord, entry: ItemRecord, note: str) -> Fault:
    """A row that must show `entry`: safe to mend, as all of it is in the entry."""
    return Fault(
        kind,
        (identifier, *record_ids(entry)) if entry.kind and entry.kind.unique else (identifier,),
        note,
        row,
        group.time,
        group.time,
        observed=row.values.get(group.time or ""),
        expected=entry.values.get(group.time or ""),
        group=group.name,
        partners=(entry,),
        safe=True,
    )


def expires(plan: ReadPlan, group: Group) -> bool:
    """Return True if the group's entries disappear by themselves."""
    return group.entries is not None and plan.kind(group.entries).ttl is not None


def moment_of(record: ItemRecord, name: str) -> datetime | None:
    """The moment in a time field, None when it is not one."""
    return instant(record.values[name]) if name in record.values else None


def shows(group: Group, row: ItemRecord, entry: ItemRecord) -> bool:
    """Return True if the row's preview fields are the entry's."""
    return all(shows_field(row, record=entry, mine=mine, theirs=theirs) for mine, theirs in group.preview.items())


def shows_field(row: ItemRecord, *, record: ItemRecord, mine: str, theirs: str) -> bool:
    """Return True if one preview field is the entry's; a field with a fault of its own counts as shown."""
    if mine in row.bad or theirs in record.bad:
        return True
    return row.values.get(mine) == record.values.get(theirs)


def find_repeats(group: Group, identifier: str, entries: Sequence[ItemRecord]) -> Iterator[Fault]:
    """`duplicate`: (nearly) everything in the group exists twice, one distance in time apart, as loading it twice does.

    People do write the same thing twice; they do not repeat a whole conversation with the same pauses.
    """
    if not group.time:
        return
    by_content: dict[bytes, list[tuple[datetime, ItemRecord]]] = {}
    moments = []
    for record, said in zip(entries, contents(group, entries), strict=True):
        moment = moment_of(record, group.time)
        if moment is not None:
            moments.append(moment)
            by_content.setdefault(said, []).append((moment, record))
    pairs = [sorted(same, key=lambda pair: pair[0]) for same in by_content.values() if len(same) == 2]
    distances: dict[timedelta, list[ItemRecord]] = {}
    for (earlier, _), (later, record) in pairs:
        distances.setdefault(later - earlier, []).append(record)
    if not distances:
        return
    repeated = max(distances.values(), key=len)
    moments.sort()
    steady = len({later - earlier for earlier, later in pairwise(moments)}) == 1
    if len(repeated) >= REPEATS and len(repeated) * 2 >= len(entries) * 0.8 and not steady:
        note = f"{group.name} {identifier}: {len(repeated)} of {len(entries)} entries repeat an earlier one"
        ids = [text for record in repeated for text in record_ids(record)]
        yield Fault("duplicate", (identifier, *ids), note, repeated[0], group=group.name, partners=tuple(repeated[1:]))


def find_copied_groups(group: Group, gathered: Mapping[str, Gathered]) -> Iterator[Fault]:
    """`duplicate`: two groups of the same owners with the same entries, as loading with a new group id does."""
    if not group.owner or not group.time:
        return
    owned = {
        identifier: (frozenset(record.id(group.owner) for record in one.rows), len(one.entries))
        for identifier, one in gathered.items()
        if len(one.entries) >= REPEATS
    }
    alike = Counter(owned.values())
    seen: dict[tuple[frozenset[str | None], tuple[bytes, ...]], str] = {}
    for identifier, (owners, number) in owned.items():
        if alike[owners, number] < 2:
            continue  # No other group has these owners and as many entries: what they say need not be read.
        one = gathered[identifier]
        ordered = sorted(one.entries, key=lambda record: record.values.get(group.time or "", ""))
        first = seen.setdefault((owners, tuple(contents(group, ordered))), identifier)
        if first != identifier:
            note = f"{group.name} {identifier} has the members and the {len(ordered)} entries of {first}"
            yield Fault("duplicate", (identifier, first), note, ordered[0], group=group.name, partners=tuple(one.rows))


def contents(group: Group, records: Iterable[ItemRecord]) -> Iterator[bytes]:
    """Return what each entry says, without its time, its key and its own id: equal for two loads of one entry."""
    known: dict[tuple[str, tuple[str, ...]], set[str | None]] = {}
    for record in records:
        kind = record.kind or record.near
        place = kind.name if kind else "", record.keys
        if (left_out := known.get(place)) is None:
            names = {*(kind.unique if kind else ()), group.time}
            left_out = {kind.attribute_of(name) if kind and name else name for name in names}.union(record.keys)
            known[place] = left_out
        said = {name: value for name, value in record.item.items() if name not in left_out}
        yield msgspec.json.encode(said, order="sorted")
