"""The owners of entries that an answer has and that are not the subject's: another person, or another group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from devenv.core.errors import StoreError
from devenv.core.templates import Unknown, names_in
from devenv.links.values import canonical
from devenv.trace.answers import form_of_items
from devenv.trace.layers.subject_items import belongs, gather_own
from devenv.trace.question import TraceContext

PERSON: Final = "person."


def owners_of(
    inquiry: TraceContext, wanted: Iterable[str | None], person: Mapping[str, Any] | None
) -> dict[str, tuple[str, ...]]:
    """Entry -> the subjects that it is stored for, in words, without the traced one. Not what is stored nowhere."""
    form = form_of_items(inquiry.question.trace, inquiry.facts.plan, rows=inquiry.linked_rows)
    named = {name for name in wanted if name}
    if form is None or not named:
        return {}
    try:
        found = inquiry.facts.judgement()
        mine = gather_own(inquiry, person).wanted
    except (Unknown, StoreError):
        return {}
    names = dict(people(inquiry))
    owners: dict[str, dict[str, None]] = {}
    for record in found.records:
        if form.part(record) is None or belongs(record, mine):
            continue
        identity = form.entry(record).id
        if identity not in named:
            continue
        kind = record.kind or record.near
        fields = mine.get(kind.name, {}) if kind else {}
        told = ", ".join(whose(inquiry, name, record.id(name) or "?", names) for name in fields)
        owners.setdefault(identity, {}).setdefault(told)
    return {name: tuple(texts) for name, texts in owners.items()}


def whose(inquiry: TraceContext, field: str, value: str, names: Mapping[str, str]) -> str:
    """`mei` where the field tells who asks; else `order_id` = 12."""
    trace = inquiry.question.trace
    templates = [trace.where.get(field), *(part.where.get(field) for part in trace.kinds)]
    by_person = any(name.startswith(PERSON) for text in templates if text for name in names_in(text))
    known = names.get(canonical(value))
    if by_person and known:
        return known
    return f"`{field}` = {value}"


def people(inquiry: TraceContext) -> Iterator[tuple[str, str]]:
    """The ids of all people whose rows were read, with the names that `--user` takes."""
    declared = inquiry.settings.person
    if declared is None:
        return
    try:
        rows = inquiry.facts.postgres().rows
    except StoreError:
        return
    for relation, found in rows.items():
        if declared.table not in (relation[-1], ".".join(relation)):
            continue
        for row in found:
            if row.get(declared.id) is not None and row.get(declared.name):
                yield canonical(row[declared.id]), str(row[declared.name])
