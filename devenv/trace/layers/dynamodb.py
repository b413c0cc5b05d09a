"""Layer `dynamodb`: which items exist for the subject, whatever any query thinks, and what is wrong with them."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

from devenv.config.trace import Trace
from devenv.core.errors import StoreError
from devenv.core.model import Finding, Fix
from devenv.core.plural import number_of
from devenv.doctor.checks.step_programs import may_load
from devenv.links.fields import is_expired
from devenv.links.judge import ItemRecord, LinkJudgement
from devenv.links.read import read_records
from devenv.links.values import canonical, instant, scalar_text
from devenv.trace.answers import Items, by_kind, form_of_items, repeated
from devenv.trace.judge.fault import judge_stored
from devenv.trace.layer import Given, Layer
from devenv.trace.layers import gone
from devenv.trace.layers.nothing import why_nothing
from devenv.trace.layers.subject_faults import kind_names, own_findings
from devenv.trace.layers.subject_items import SubjectItems, belongs, gather_own, is_kind, meant, wanted_of
from devenv.trace.observation import DynamoObservation, Entry, Observation
from devenv.trace.question import TraceContext

# How long an answer may lag behind a write.
MEANWHILE: Final = timedelta(seconds=3)
NEAR: Final = 5
SHOWN: Final = 500
OTHER_TABLES: Final = 10


def observe(inquiry: TraceContext, given: Given) -> DynamoObservation:
    """The subject's items and their own faults. StoreError when DynamoDB does not answer; Unknown."""
    form = form_of_items(inquiry.question.trace, inquiry.facts.plan, rows=inquiry.linked_rows)
    if form is None:
        return DynamoObservation(unasked="the subject declares no entity in DynamoDB")
    wanted_of(inquiry, given.person)  # without a value in it there is nothing to look for, so no store is read
    found = inquiry.facts.judgement()
    gathered = gather_own(inquiry, given.person)
    entries = tuple(form.entry(record) for record in gathered.entries)
    expired = tuple(read_expired(inquiry, form))
    by_itself = bool(gathered.entries or gathered.rows or not inquiry.question.values)
    findings = list(own_findings(inquiry, found, gathered, "dynamodb"))
    lost = [one for one in gone.read_gone(inquiry, form) if belongs(one.record, gathered.wanted)]
    near: list[str] = []
    if not by_itself:
        near = explain_missing(inquiry, found)
        absent = gone.explained(not_found(inquiry, near), lost)
        if not lost and was_loaded(inquiry, form, gathered.wanted):
            absent = replace(absent, cause="a seed loaded its items; they were deleted later", fix=gone.RESTORE)
        findings.insert(0, absent if lost else next(unmatched(inquiry, found), absent))
    elif not gathered.entries:
        findings += find_strayed(inquiry, found, gathered)
    if by_itself:
        findings += (gone.explained(one, lost) for one in find_numbers(inquiry, gathered))
        findings += find_lost(inquiry, gathered, lost)
    return DynamoObservation(
        request={
            "table": form.table,
            "where": dict(next(iter(gathered.wanted.values()), {})),
            "items": sum(map(len, inquiry.facts.dynamodb().items.values())),
        },
        output={
            "found": by_itself,
            "items": [describe(record) for record in (*gathered.rows, *gathered.entries)[:SHOWN]],
            "owners": sorted(gathered.owners or ()),
            "near": near,
        },
        entries=sort_entries(inquiry.question.trace, entries),
        findings=tuple(findings),
        uncovered=(
            *repeated(entries),
            *(() if findings or lost or expired else proves_nothing(inquiry, found, gathered)),
        ),
        notes=(
            *notes(inquiry, gathered, 0 if lost else len(expired)),
            *([gone.note(lost)] if lost and by_itself else []),
        ),
        found=by_itself,
        hidden=frozenset(
            form.entry(record).id or "" for record in gathered.entries if not exact(record, gathered.wanted)
        ),
        fleeting=frozenset(entry.id or "" for entry in expired),
        young=dict(find_young(inquiry, entries)),
        owners=gathered.owners,
        members=gathered.members,
    )


def proves_nothing(inquiry: TraceContext, found: LinkJudgement, gathered: SubjectItems) -> tuple[str, ...]:
    """Say why an empty list was compared with nothing."""
    if gathered.entries or gathered.rows:
        return ()
    kinds = kind_names(inquiry)
    records = [record for record in found.records if any(is_kind(record, kind) for kind in kinds)]
    return tuple(why_nothing(kinds, records, found.faults, inquiry.settings.steps.seed))


def sort_entries(trace: Trace, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries kind by kind, each sorted by its declared field."""
    kinds = [part.entity if trace.entities else "" for part in trace.kinds]
    fields = {kind: part.sorted_by for kind, part in zip(kinds, trace.kinds, strict=True)}
    return by_kind(sorted(entries, key=lambda entry: entry.fields.get(fields.get(entry.kind) or "") or ""), kinds)


def exact(record: ItemRecord, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    """Return True if the record is of its kind by the letter, and the right key reaches it."""
    if record.kind is None:
        return False
    return all(record.values.get(name) == text for name, text in wanted.get(record.kind.name, {}).items())


def read_expired(inquiry: TraceContext, form: Items) -> Iterator[Entry]:
    """The subject's entries that are past their time to live: DynamoDB may still return them, or not."""
    if all(part.kind.ttl is None for part in form.parts):
        return
    now = inquiry.facts.context.now()
    plan = inquiry.facts.known_plan()
    for record in read_records(plan, form.table, inquiry.facts.dynamodb().items.get(form.table, ())):
        if record.kind is not None and form.part(record) is not None and is_expired(record.kind, record.item, now):
            yield form.entry(record)


def find_numbers(inquiry: TraceContext, gathered: SubjectItems) -> Iterator[Finding]:
    """Fewer or more items of a kind than belong to one subject."""
    question = inquiry.question
    for part in question.trace.entities:
        number = sum(is_kind(record, part.entity) for record in gathered.entries)
        few, many = number < part.at_least, part.at_most is not None and number > part.at_most
        if not (few or many):
            continue
        bound = f"at least {part.at_least}" if few else f"at most {part.at_most}"
        text = f"{question.subject} {question.identifier or ''}".rstrip()
        items = number_of(number, "item", "items") if number else "no item"
        ids = tuple(record.key_text for record in gathered.entries if is_kind(record, part.entity))
        yield Finding(
            "missing_item" if few else "duplicate",
            f"{text} has {items} of kind `{part.entity}`; {bound} is declared",
            None,
            Fix("look at its items", f"devenv ddb scan {inquiry.settings.entities[part.entity].table} --limit 20"),
            ids or (question.identifier or "",),
            frozenset([part.entity]),
        )


def find_lost(inquiry: TraceContext, gathered: SubjectItems, lost: Sequence[gone.GoneRecord]) -> Iterator[Finding]:
    """`missing_item` where the group's entries may expire, and the one that its rows show was deleted instead."""
    group = next((group for group in inquiry.settings.groups if group.name == inquiry.question.trace.group), None)
    if group is None or not group.time or not lost:
        return
    if shown := gone.find_shown(gathered.rows, lost, gathered.entries, group.time, group.preview):
        yield gone.lost_entry(shown, f"{group.name} {inquiry.question.identifier or ''}".rstrip())


def find_young(inquiry: TraceContext, entries: Iterable[Entry]) -> Iterator[tuple[str, datetime]]:
    """The ids of entries that were written while we looked, or just before, with their times."""
    names = {part.entity: part.sorted_by for part in inquiry.question.trace.entities}
    for entry in entries:
        moment = instant(entry.fields.get(names.get(entry.kind, inquiry.question.trace.sorted_by) or "") or "")
        if moment is not None and abs(moment - inquiry.began) < MEANWHILE:
            yield entry.id or "", moment


def describe(record: ItemRecord) -> dict[str, Any]:
    """One item for the report: its key and its kind, nothing of what it says."""
    kind = record.kind or record.near
    return {
        "key": record.key_text,
        "kind": kind.name if kind else None,
        "bad": sorted(record.bad),
    }


def notes(inquiry: TraceContext, gathered: SubjectItems, expired: int) -> Iterator[str]:
    """Remarks that are no fault."""
    if gathered.rows and not gathered.entries and inquiry.question.values:
        yield "it is empty: its member items exist, but it has no entries"
    elif not gathered.entries:
        wanted = "; ".join(
            f"{kind} with {' and '.join(f'{name} = {text}' for name, text in fields.items()) or 'any id'}"
            for kind, fields in gathered.wanted.items()
        )
        yield f"it is empty: the table holds no {wanted}"
    if expired:
        items = number_of(expired, "item of this kind is", "items of this kind are")
        yield f"{items} past the time to live and counted as deleted"


# --- nothing is there ---


def not_found(inquiry: TraceContext, near: Sequence[str]) -> Finding:
    """There is no such subject."""
    question = inquiry.question
    text = f"there is no {question.subject} {question.identifier}"
    cause = "; ".join(near) if near else "no item of any declared table has this id, in any spelling"
    fix = another_id(inquiry) or Fix("load it", "devenv up")
    fix = Fix(fix.text + may_load(inquiry.settings.steps, "item"), fix.command)
    return Finding(
        "missing_item", text, cause, fix, (question.identifier or "",), frozenset([question.identifier or ""])
    )


def unmatched(inquiry: TraceContext, found: LinkJudgement) -> Iterator[Finding]:
    """`unmatched`: the table has no item of an asked kind, and items of no kind: its `match` may be wrong."""
    form = form_of_items(inquiry.question.trace, inquiry.facts.plan)
    for kind in [part.kind for part in form.parts] if form else ():
        strangers = [r for r in found.records if r.table == kind.table and r.kind is None and r.near is None]
        if not strangers or any((r.kind or r.near) is kind for r in found.records):
            continue
        items = number_of(len(strangers), "item")
        unfit = [
            f'{attribute} = "{template.text}" fits none of them'
            for attribute, template in kind.matchers
            if all(template.parse(scalar_text(r.item.get(attribute)) or "") is None for r in strangers)
        ]
        yield Finding(
            "unmatched",
            f"no item matches [entities.{kind.name}]",
            f"{items} of table `{kind.table}` match no entity{f': {unfit[0]}' if unfit else ''}",
            Fix(
                f"correct `match` of [entities.{kind.name}]: see the items", f"devenv ddb scan {kind.table} --limit 20"
            ),
            (inquiry.question.identifier or "",),
            frozenset([kind.name]),
        )


def another_id(inquiry: TraceContext) -> Fix | None:
    """The same trace with the id that is nearest to the given one, else with any that exists; None without one."""
    question = inquiry.question
    known = [name for name in known_ids(inquiry) if name != question.identifier]
    if not known:
        return None
    near = difflib.get_close_matches(question.identifier or "", known, n=1, cutoff=0.85)
    words = "trace the similar id" if near else "trace one that exists"
    values = [*(near or known)[:1], *list(question.values.values())[1:]]
    return Fix(words, shlex.join(["devenv", "trace", question.subject, *values]))


def was_loaded(inquiry: TraceContext, form: Items, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    """Return True if a seed loaded items of the subject, none of which is there now."""
    loaded = inquiry.facts.context.read_written(form.table)
    return any(belongs(record, wanted) for record in read_records(inquiry.facts.known_plan(), form.table, loaded))


def known_ids(inquiry: TraceContext) -> list[str]:
    """The ids that such subjects have and that are sound, those with the most items first."""
    trace = inquiry.question.trace
    name = next(iter(trace.where or (trace.kinds[0].where if trace.kinds else ())), None)
    kinds = kind_names(inquiry)
    counts: dict[str, int] = {}
    for record in inquiry.facts.judgement().records:
        if name and name not in record.bad and record.kind is not None and (text := record.id(name)) is not None:
            counts[text] = counts.get(text, 0) + (record.kind.name in kinds)
    return sorted(counts, key=lambda text: -counts[text])


def explain_missing(inquiry: TraceContext, found: LinkJudgement) -> list[str]:
    """Return what the id is instead, where else it occurs, or which one is near it."""
    value = inquiry.question.identifier or ""
    group_of = {kind: g.id for g in inquiry.settings.groups for kind in (g.rows, g.entries) if kind}
    asked = {name for part in inquiry.question.trace.kinds for name in part.where or inquiry.question.trace.where}
    told: dict[str, None] = {}
    for named in found.named:
        if named.row is not None and canonical(named.row[named.edge.column]) == value:
            names = " ".join(str(named.row[column]) for _, column in named.edge.natural)
            told[f"it is the id of a row of {'.'.join(named.edge.relation)}{f' ({names})' if names else ''}"] = None
    for record in found.records:
        kind = record.kind or record.near
        for name, text in record.values.items():
            if kind is not None and canonical(text) == value and name not in asked:
                whose = record.id(group_of.get(kind.name, ""))
                inside = f" in {whose}" if whose and whose != value else ""
                told.setdefault(f"it is the {name} of a {kind.name}{inside}", None)
    told |= dict.fromkeys(find_people(inquiry, value))
    told |= dict.fromkeys(find_elsewhere(inquiry, value))
    if not told:
        close = difflib.get_close_matches(value, known_ids(inquiry), n=3, cutoff=0.85)
        told |= {f"similar: {name}": None for name in close}
    return list(told)[:NEAR]


def find_people(inquiry: TraceContext, value: str) -> Iterator[str]:
    """Return True if the id is that of a row that is linked to."""
    try:
        rows = inquiry.facts.postgres().rows
    except StoreError:
        return
    for edge in inquiry.facts.plan.edges:
        for row in rows.get(edge.relation, ()):
            if canonical(row[edge.column]) == value:
                names = " ".join(str(row[column]) for _, column in edge.natural)
                if names:
                    yield f"it is the id of a row of {'.'.join(edge.relation)} ({names})"


def find_elsewhere(inquiry: TraceContext, value: str) -> Iterator[str]:
    """See if other tables of the same DynamoDB have the id in a key or an attribute, in the first page of each."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    facts = inquiry.facts
    with Dynamo(read_only(facts.context.targets.dynamodb)) as dynamodb:
        try:
            names = (name for page in dynamodb.pages("ListTables") for name in page["TableNames"])
            for name in islice((name for name in names if name not in facts.table_names), OTHER_TABLES):
                items = dynamodb.call("Scan", {"TableName": name})["Items"]
                number = sum(value in str(item).lower() for item in items)
                if number:
                    yield f"{number_of(number, 'item with it is', 'items with it are')} in table {name}"
        except StoreError:
            return


def find_strayed(inquiry: TraceContext, found: LinkJudgement, gathered: SubjectItems) -> Iterator[Finding]:
    """Return True if what an empty group's rows show as the newest entry lies under another group's id."""
    group = next((group for group in inquiry.settings.groups if group.name == inquiry.question.trace.group), None)
    if group is None or group.time is None or group.entries not in kind_names(inquiry):
        return
    shown = {signature(row, [group.time, *group.preview]) for row in gathered.rows}
    homes = {meant(r, group.id) for r in found.records if is_kind(r, group.rows)}
    for record in found.records:
        home = meant(record, group.id)
        if (
            is_kind(record, group.entries)
            and home not in homes
            and signature(record, [group.time, *group.preview.values()]) in shown
        ):
            number = sum(is_kind(r, group.entries) and meant(r, group.id) == home for r in found.records)
            entries = number_of(number, "entry")
            shown_entry = "the entry that its member items show as the newest"
            text = f"the group has no entries; {shown_entry} is stored under {home} ({entries})"
            cause = "the entries were written under another id than the member items"
            fix = Fix("load member items and entries again, with the same id", "devenv seed && devenv up")
            yield Finding("missing_item", text, cause, fix, tuple(filter(None, (inquiry.question.identifier, home))))
            return


def signature(record: ItemRecord, names: Sequence[str]) -> tuple[str | None, ...]:
    """Return what two records must have in common."""
    return tuple(record.values.get(name) for name in names)


def attributes(seen: Observation) -> Mapping[str, Any]:
    """The store and its table."""
    table = seen.request.get("table")
    return {"db.system.name": "aws.dynamodb", "aws.dynamodb.table_names": [table] if table else None}


LAYER: Final = Layer(
    name="dynamodb",
    question="Which items exist, regardless of any query?",
    observe=observe,
    needs=("postgres",),
    judge=partial(judge_stored, "dynamodb", "dynamodb"),
    summarize=lambda seen: f"in table {seen.request['table']}" if seen.request.get("table") else "",
    evidence=lambda seen: [("near", near) for near in seen.output.get("near") or ()],
    attributes=attributes,
    empty=DynamoObservation,
)
