"""The faults of a subject's stored items, as findings of the layers `dynamodb` and `cross-store`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from devenv.core.errors import StoreError
from devenv.core.model import Finding, Fix
from devenv.doctor.checks.items import correct_id
from devenv.doctor.checks.renamed_rows import undo_renaming
from devenv.doctor.checks.step_programs import may_load
from devenv.links.faults import places_text
from devenv.links.judge import Fault, Folded, LinkJudgement
from devenv.links.recreated import declare
from devenv.links.renamed import renamed_rows
from devenv.links.values import canonical
from devenv.trace.layers.subject_items import SubjectItems
from devenv.trace.question import TraceContext

# A copy of what stands elsewhere: correcting it changes what shows this item, and nothing else.
COPIES: Final = frozenset(["stale_preview", "stale_copy"])
MEND: Final = "devenv doctor --fix"
RESTORE: Final = Fix("restore the deleted rows as setup loaded them", "devenv up --restore-seeds", safe=True)


def own_findings(inquiry: TraceContext, found: LinkJudgement, gathered: SubjectItems, layer: str) -> Iterator[Finding]:
    """The faults that concern the subject, one finding per class, of this layer."""
    mine = {id(record) for record in (*gathered.entries, *gathered.rows)}
    ids = {*gathered.groups, *(gathered.members or ())}
    chosen = [fault for fault in found.faults if fault.layer == layer and concerns(fault, mine, gathered, ids)]
    if not kind_names(inquiry) & {g.entries for g in inquiry.settings.groups}:
        # A list of groups shows their rows: what is wrong inside an entry does not show in it.
        rows = {id(record) for record in gathered.rows}
        chosen = [f for f in chosen if f.record is None or id(f.record) in rows | mine]
    for folded in LinkJudgement(chosen, found.causes, found.records, found.named).folded():
        about = {name for fault in folded.faults for name in (fault.attribute, fault.field, fault.observed) if name}
        told = declare(folded.faults)
        renamed = renamed_rows(folded.faults, inquiry.facts.renamed())
        if told:
            fix = Fix(told)
        elif renamed:
            fix = undo_renaming(inquiry.facts.postgres().catalog, list(renamed.values()))
        else:
            fix = restoring(inquiry, folded)
        text = f"{folded.summary}{places_text(folded.faults)}"
        apart = unshown_values(folded.faults, kind_names(inquiry))
        yield Finding(folded.kind, text, folded.cause, fix, folded.subjects, frozenset(about), unshown=apart)


def unshown_values(faults: Sequence[Fault], kinds: Collection[str]) -> frozenset[str]:
    """The faulty values of copies that stand only in items that the answer, made of these `kinds`, does not show."""
    items = [fault.record for fault in faults]
    if any(fault.kind not in COPIES for fault in faults) or any(
        record is None or record.kind is None or record.kind.name in kinds for record in items
    ):
        return frozenset()
    return frozenset(fault.observed for fault in faults if fault.observed)


def restoring(inquiry: TraceContext, folded: Folded) -> Fix:
    """The fix where a row may be missing: to restore it if setup loaded it, to correct an id of another table."""
    if was_seeded(inquiry, folded):
        return RESTORE
    if folded.kind != "orphan":
        return remedy(folded)
    if fix := correct_id(folded.faults):
        return fix
    fix = remedy(folded)
    return replace(fix, text=fix.text + may_load(inquiry.settings.steps, "row"))


def was_seeded(inquiry: TraceContext, folded: Folded) -> bool:
    """Return True if faults are about rows that setup loaded into the linked table and that were deleted since."""
    if folded.kind not in ("orphan", "missing_row"):
        return False
    try:
        seeded = inquiry.facts.postgres().seeded
    except StoreError:
        return False
    places = {(edge.relation, edge.column) for edge in inquiry.facts.plan.edges}
    loaded = {place: {canonical(row.get(place[1]) or "") for row in seeded.get(place[0], ())} for place in places}
    everywhere = {id for ids in loaded.values() for id in ids}
    return all(
        fault.subjects[0] in (loaded[fault.edge.relation, fault.edge.column] if fault.edge else everywhere)
        for fault in folded.faults
    )


def kind_names(inquiry: TraceContext) -> set[str]:
    """The kinds that the answer consists of."""
    return {part.entity for part in inquiry.question.trace.kinds}


def remedy(folded: Folded) -> Fix:
    """Return what a person can do about faults of one class: a command that changes items is said to change them."""
    safe = sum(fault.safe for fault in folded.faults)
    if not safe:
        return Fix("list each of them with its fix (changes nothing)", "devenv doctor")
    rest = len(folded.faults) - safe
    words = "correct all items with this fault whose correction loses no data"
    words += " (`devenv doctor` without --fix only lists them)"
    need = f"; fix {rest} of them yourself" if rest else ""
    return Fix(f"{words}{need}", MEND, safe=True)


def concerns(fault: Fault, mine: set[int], gathered: SubjectItems, ids: set[str | None]) -> bool:
    """Return True if a fault is about one of the subject's items, its groups, or its members' rows."""
    records = [record for record in (fault.record, *fault.partners) if record is not None]
    if any(id(record) in mine for record in records):
        return True
    if fault.group is not None or not records:
        return bool(ids & set(fault.subjects[:2]))
    return False
