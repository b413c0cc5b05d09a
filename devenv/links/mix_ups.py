"""Values that belong to another row or attribute: a mix-up, not an out-of-date value. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from devenv.config.schema import Group
from devenv.links.faults import Fault
from devenv.links.read import Edge, ItemRecord
from devenv.links.resolve import NamedId, Row, RowIndex, describe

NAMED: Final = 3
PAIRED: Final = 20  # each fault is held against each other one


def explain_mix_ups(
    named: Iterable[NamedId],
    faults: Sequence[Fault],
    index: RowIndex,
    groups: Sequence[Group] = (),
    records: Sequence[ItemRecord] = (),
) -> dict[str, str]:
    """Class -> cause, where every fault of the class is such a mix-up."""
    found = {}
    foreign = [fault for fault in faults if fault.kind == "foreign_member"]
    if 0 < len(foreign) <= PAIRED and (texts := exchanged_groups(foreign, groups, records)):
        found["foreign_member"] = texts
    if texts := foreign_ids(named, index):
        found["mismatched_id"] = texts
    if texts := mixed_copies([fault for fault in faults if fault.kind == "stale_copy"], index):
        found["stale_copy"] = texts
    return found


def foreign_ids(named: Iterable[NamedId], index: RowIndex) -> str | None:
    """The owners of the ids, if all that are not their row's are the ids of other rows; else None."""
    told: dict[str, None] = {}
    for one in named:
        if one.how in ("id", "none") or one.row is None:
            continue
        other = index.by_id(one.edge, one.id)
        if other is None or other is one.row:
            return None
        told[f"{one.id} is the id of {describe(other, one.edge, index)}"] = None
    return joined(told, "so the item was written with the id of another row") if told else None


def exchanged_groups(faults: Sequence[Fault], groups: Sequence[Group], records: Sequence[ItemRecord]) -> str | None:
    """The rows of one owner that stand in each other's group, if all these faults are of such rows; else None."""
    told: dict[str, None] = {}
    left = list(faults)
    while left:
        fault = left.pop()
        group = next((one for one in groups if one.name == fault.group), None)
        if group is None or not (group.owner and group.other) or fault.record is None:
            return None
        partner = next((one for one in left if are_exchanged(group, fault.record, one.record, records)), None)
        if partner is None or partner.record is None:
            return None
        left.remove(partner)
        keys = sorted([fault.record.key_text, partner.record.key_text])
        told[f"the values of {group.id} of {keys[0]} and {keys[1]} are exchanged"] = None
    return joined(told, "")


def are_exchanged(group: Group, one: ItemRecord, other: ItemRecord | None, records: Sequence[ItemRecord]) -> bool:
    """Return True if two rows of one owner each name a member of the other's group."""
    owner, named = group.owner or "", group.other or ""
    if other is None or one.id(owner) != other.id(owner):
        return False
    pair = (one.id(group.id), other.id(group.id))
    if None in pair or pair[0] == pair[1]:
        return False
    members: dict[str | None, set[str | None]] = {name: set() for name in pair}
    for record in records:
        kind = record.kind or record.near
        if kind is not None and kind.name == group.rows and record.id(group.id) in members:
            members[record.id(group.id)].add(record.id(owner))
    return one.id(named) in members[pair[1]] and other.id(named) in members[pair[0]]


def mixed_copies(faults: Sequence[Fault], index: RowIndex) -> str | None:
    """The ways in which copies were mixed up, if those of all items were; else None."""
    items: dict[tuple[int, str], list[Fault]] = {}
    for fault in faults:
        if fault.record is None or fault.edge is None:
            return None
        items.setdefault((id(fault.record), fault.edge.name), []).append(fault)
    told: dict[str, None] = {}
    for mine in items.values():
        how = mixed_up(mine, index)
        if how is None:
            return None
        told[how] = None
    return joined(told, "") if told else None


def mixed_up(mine: Sequence[Fault], index: RowIndex) -> str | None:
    """The way in which the copies of one item were mixed up: exchanged, or all of them another row's."""
    if len(mine) < 2:
        return None
    names = " and ".join(fault.attribute or "" for fault in mine)
    if sorted(fault.observed or "" for fault in mine) == sorted(fault.expected or "" for fault in mine):
        return f"the values of {names} are swapped"
    edge, record = mine[0].edge, mine[0].record
    assert edge is not None  # noqa: S101 - checked above
    assert record is not None  # noqa: S101 - checked above
    other = index.by_natural_key(edge, record)
    if other is None or other is mine[0].row or not copies_are_of(edge, mine, other):
        return None
    wrong = f"so the item's `{edge.attribute}` refers to the wrong row"
    return f"{names} are those of {describe(other, edge, index)}, {wrong}"


def copies_are_of(edge: Edge, mine: Sequence[Fault], row: Row) -> bool:
    """Return True if every value that differs is this row's."""
    columns = dict([*edge.natural, *edge.copies])
    return all(fault.observed == str(row[columns[fault.attribute or ""]]) for fault in mine)


def joined(told: Iterable[str], end: str) -> str:
    """The first of these texts as one."""
    texts = list(told)
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join([*texts[:NAMED]]) + more + (f", {end}" if end else "")
