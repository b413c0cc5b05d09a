"""Items of a subject that are not there any more: expired by their time to live, or lost?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from devenv.core.model import Finding, Fix
from devenv.core.plural import number_of
from devenv.core.value import Value
from devenv.links.expiry import GoneItem, gone_items, gone_text
from devenv.links.read import ItemRecord, Kind, read_records
from devenv.trace.answers import Items
from devenv.trace.question import TraceContext

RESTORE = Fix("if the deletion was a mistake, restore what was loaded and then deleted", "devenv up --restore-seeds")


class GoneRecord(Value, frozen=True):
    """One item that is gone, as a record of its kind."""

    record: ItemRecord
    gone: GoneItem


def read_gone(inquiry: TraceContext, form: Items) -> tuple[GoneRecord, ...]:
    """The gone items of the subject's kinds that expire. StoreError, or DevenvError with a broken ledger."""
    kinds = [part.kind for part in form.parts if part.kind.ttl is not None]
    if not kinds:
        return ()
    facts = inquiry.facts
    attribute = kinds[0].ttl or ""
    plan = facts.known_plan()
    gone = gone_items(
        facts.context.read_written(form.table),
        facts.context.read_removed(form.table),
        facts.dynamodb().items.get(form.table, ()),
        plan.keys.get(form.table, ()),
        attribute,
        facts.context.now().timestamp(),
    )
    records = read_records(plan, form.table, (one.item for one in gone))
    names = {kind.name for kind in kinds}
    return tuple(
        GoneRecord(record, one)
        for record, one in zip(records, gone, strict=True)
        if record.kind is not None and record.kind.name in names
    )


def told(gone: Sequence[GoneRecord]) -> str:
    """Say which of them expired and which were deleted."""
    kind: Kind | None = gone[0].record.kind
    return gone_text([one.gone for one in gone], (kind.ttl if kind else None) or "")


def note(gone: Sequence[GoneRecord]) -> str:
    """A remark about what is gone and missed by nothing."""
    return f"{number_of(len(gone), 'item is', 'items are')} gone: {told(gone)}"


def explained(finding: Finding, gone: Sequence[GoneRecord]) -> Finding:
    """A finding that items are missing, with what became of them: class `expired` when time took all of them."""
    if finding.kind != "missing_item" or not gone:
        return finding
    if all(one.gone.expired for one in gone):
        fix = Fix("expected if the items should live only that long; otherwise write them with a later time")
        return replace(finding, kind="expired", cause=told(gone), fix=fix)
    return replace(finding, cause=told(gone), fix=RESTORE)


def find_shown(
    rows: Iterable[ItemRecord],
    gone: Sequence[GoneRecord],
    entries: Sequence[ItemRecord],
    time: str,
    preview: Mapping[str, str],
) -> list[GoneRecord]:
    """The deleted entries, not expired ones, that a group's rows still show as the newest."""
    there = {record.values.get(time) for record in entries}
    shown = {tuple(row.values.get(name) for name in (time, *preview)) for row in rows}
    return [
        one
        for one in gone
        if not one.gone.expired
        and one.record.values.get(time) not in there
        and tuple(one.record.values.get(name) for name in (time, *preview.values())) in shown
    ]


def lost_entry(lost: Sequence[GoneRecord], subject: str) -> Finding:
    """The finding about a shown entry that was deleted, in a group whose entries may expire."""
    keys = tuple(one.record.key_text for one in lost)
    text = f"{subject}: its member items show an entry that was deleted, and did not expire ({keys[0]})"
    return Finding("missing_item", text, told(lost), RESTORE, keys)
