"""Compares `[entities]`, `[[links]]` and `[[groups]]` with items and rows. Pure: for doctor, trace, verify.

plan = compile_plan(settings, {"table": ("pk", "sk")})
judgement = judge(plan, {"table": items}, {("public", "users"): rows}, now)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from devenv.core.value import Value
from devenv.links.contradictions import find_contradictions
from devenv.links.faults import LAYERS, VERIFY_NAMES, Fault, Folded, fold
from devenv.links.fields import find_field_faults, find_time_faults, find_unique_faults, group_fields, is_expired
from devenv.links.groups import find_group_faults, with_partners
from devenv.links.mix_ups import explain_mix_ups
from devenv.links.packed import Item
from devenv.links.read import Edge, ItemRecord, Kind, ReadPlan, compile_plan, read_records
from devenv.links.resolve import (
    NamedId,
    Relation,
    Row,
    RowIndex,
    count_misfits,
    count_unread,
    explain,
    find_link_faults,
    resolve,
)
from devenv.links.rows import find_missing_rows, find_row_faults
from devenv.links.values import canonical

__all__ = [
    "LAYERS",
    "VERIFY_NAMES",
    "Edge",
    "Fault",
    "Folded",
    "Item",
    "ItemRecord",
    "Kind",
    "LinkJudgement",
    "NamedId",
    "ReadPlan",
    "Relation",
    "Row",
    "compile_plan",
    "judge",
    "read_records",
]

CAUSES: Final[Mapping[str, str]] = {
    "missing_row": "either it was deleted, or its statement failed and the rest of the SQL ran anyway",
    "ambiguous_row": "two rows have the same natural key, so a link cannot tell which one is meant",
    "near_miss": "both stores treat names that differ in blanks or capitals as different names",
    "malformed_key": "either the key was built by hand, or from the wrong variable",
    "malformed_id": "either something other than an id was stored, or the id was written by hand",
    "contradiction": "either one of the two was changed without the other, or the key was built from another variable",
    "placeholder": "either a seed was loaded before its placeholders were replaced, or the value was written by hand",
    "missing_attribute": "either one program does not write the attribute, or the items are older than the attribute",
    "wrong_type": "either one program stores a different type, or the declaration in [entities] is wrong",
    "mixed_time_format": "times are compared as text, so they sort correctly only in one format and one zone; "
    "`isoformat()` omits the fraction if it is 0, and the zone if there is none",
    "future_time": "new entries sort before it, and so do not appear as the newest",
    "duplicate": "either it was loaded twice, or a retried write generated a new key",
    "half_group": "either one of several writes failed (put them in one transaction), or a member item was deleted",
    "foreign_member": "either a wrong id was stored, or membership was not checked before writing",
    "stale_preview": "either an entry was written without updating the member items (put both in one transaction), "
    "or a member item was changed",
    "missing_item": "either the entry was lost or deleted, or a member item was changed",
    "stale_copy": "either the row was changed in Postgres (DynamoDB does not update copies), or the item was changed",
}


# What a write under way can look like, because a scan is no snapshot: worth a second look before it is reported.
PASSING: Final = frozenset(
    [
        "half_group",
        "duplicate",
        "stale_preview",
        "missing_item",
        "foreign_member",
        "orphan",
        "mismatched_id",
        "stale_copy",
    ]
)


class LinkJudgement(Value, frozen=True):
    """Every single fault; `records` and `named` are what they were found in, `causes` what a class has in common.

    `unread`: link -> the number of items in whose attribute no id could be read. `unlinked` are links whose rows could
    not be read: nothing was compared with those.
    """

    faults: Sequence[Fault]
    causes: Mapping[str, str]
    records: Sequence[ItemRecord]
    named: Sequence[NamedId]
    unread: Mapping[str, int] = {}
    unlinked: tuple[str, ...] = ()

    @property
    def passing(self) -> bool:
        """True if some faults may be writes under way."""
        return any(fault.kind in PASSING for fault in self.faults)

    def folded(self, *kinds: str) -> tuple[Folded, ...]:
        """The faults of these classes (without any: of all), those of one class as one."""
        return fold((fault for fault in self.faults if not kinds or fault.kind in kinds), self.causes)

    def words(self) -> frozenset[tuple[str, str]]:
        """Class and sentence of each fault, for a later look."""
        return frozenset((fault.kind, fault.note) for fault in self.faults)

    def lasting(self, before: Container[tuple[str, str]]) -> LinkJudgement:
        """This, without what may be a write under way: a fault must have been there `before`, word for word."""
        stay = [fault for fault in self.faults if fault.kind not in PASSING or (fault.kind, fault.note) in before]
        return replace(self, faults=stay)


def doubt(fault: Fault, doubted: Mapping[str, Fault]) -> Fault:
    """A fault whose repair would copy from a row that has a fault itself is shown, and not safe to repair."""
    if not fault.safe or fault.row is None or fault.edge is None:
        return fault
    found = doubted.get(canonical(fault.row[fault.edge.column]))
    return fault if found is None else replace(fault, safe=False, note=f"{fault.note} (not copied: {found.note})")


def judge(
    plan: ReadPlan,
    items: Mapping[str, Iterable[Item]],
    rows: Mapping[Relation, Sequence[Row]],
    now: datetime,
    seeded: Mapping[Relation, Sequence[Row]] | None = None,
) -> LinkJudgement:
    """Hold items and rows against what is declared. Linear in both; `now` is aware; `seeded` are rows once loaded.

    An id that moved is one fault, not also a broken group: groups are judged by the rows that ids mean.
    """
    records: list[ItemRecord] = []
    expired: list[ItemRecord] = []
    for table in plan.tables:
        for record in read_records(plan, table, items.get(table, ())):
            (expired if is_expired(record.kind, record.item, now) else records).append(record)
    index = RowIndex(plan, rows)
    named = resolve(plan, records, index)
    faults = [
        *find_row_faults(plan, rows),
        *find_field_faults(records, group_fields(plan)),
        *find_time_faults(records, plan, now),
        *find_link_faults(named, index),
        *find_unique_faults(records),
    ]
    faults += find_contradictions(records, faults)
    faults += find_missing_rows(plan, rows, seeded or {}, named)
    faults += with_partners(find_group_faults(plan, records, expired, now), plan, named)
    doubted = {id: fault for fault in faults if fault.kind in ("near_miss", "ambiguous_row") for id in fault.subjects}
    faults = [doubt(fault, doubted) for fault in faults] if doubted else faults
    unread = Counter(count_unread(plan, records)) + Counter(count_misfits(plan, named, index))
    lost = explain(named, index, rows, seeded)
    causes = {**CAUSES, **lost, **explain_mix_ups(named, faults, index, plan.groups, records)}
    return LinkJudgement(faults, causes, records, named, unread)
