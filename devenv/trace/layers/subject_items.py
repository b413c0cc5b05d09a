"""The subject's records among the judged ones: its entries, its groups' rows and their owners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devenv.core.templates import fill
from devenv.core.value import Value
from devenv.links.values import canonical

if TYPE_CHECKING:
    from devenv.links.judge import ItemRecord, LinkJudgement
    from devenv.trace.question import TraceContext


class SubjectItems(Value, frozen=True):
    """The data of the subject: its entries, the rows of its groups, and their owners as written and as meant.

    `wanted` is kind -> field -> value of the entries. `groups` are the ids of the groups.
    """

    entries: tuple[ItemRecord, ...]
    rows: tuple[ItemRecord, ...]
    groups: frozenset[str]
    owners: frozenset[str] | None
    members: frozenset[str] | None
    wanted: Mapping[str, Mapping[str, str]]


def gather(inquiry: TraceContext, found: LinkJudgement, person: Mapping[str, Any] | None) -> SubjectItems:
    """The subject's records, by what their ids mean. Unknown when a parameter is not known (who asks, mostly)."""
    return choose(inquiry, found, wanted_of(inquiry, person))


def gather_own(inquiry: TraceContext, person: Mapping[str, Any] | None) -> SubjectItems:
    """The same of the trace's own judgement. Several layers ask for it: it is chosen once for the same parameters."""
    found, wanted = inquiry.facts.judgement(), wanted_of(inquiry, person)
    for earlier in inquiry.chosen:
        if earlier.wanted == wanted:
            return earlier
    chosen = choose(inquiry, found, wanted)
    inquiry.chosen.append(chosen)
    return chosen


def wanted_of(inquiry: TraceContext, person: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """Kind -> field -> value of the subject's entries. Unknown when a parameter is not known."""
    trace = inquiry.question.trace
    values = inquiry.parameters(person)
    return {
        part.entity: {name: canonical(text) for name, text in fill(part.where or trace.where, values).items()}
        for part in trace.kinds
    }


def choose(inquiry: TraceContext, found: LinkJudgement, wanted: Mapping[str, Mapping[str, str]]) -> SubjectItems:
    """The records of a judgement that mean what is wanted."""
    trace = inquiry.question.trace
    entries = tuple(record for record in found.records if belongs(record, wanted))
    named = next(iter(wanted.values()), {})
    group = next((group for group in inquiry.settings.groups if group.name == trace.group), None)
    if group is None:
        return SubjectItems(entries, (), frozenset(), None, None, wanted)
    groups = {text and canonical(text) for text in {r.id(group.id) for r in entries}} | {named.get(group.id)}
    rows = tuple(
        record
        for record in found.records
        if is_kind(record, group.rows)
        and (
            meant(record, group.id) in groups
            or (group.rows in wanted and group.other and meant(record, group.other) in named.values())
        )
    )
    groups |= {meant(record, group.id) for record in rows}
    owner = group.owner or ""
    return SubjectItems(
        entries,
        rows,
        frozenset(name for name in groups if name),
        frozenset(text for record in rows if (text := record.values.get(owner))) if owner else None,
        frozenset(text for record in rows if (text := meant(record, owner))) if owner else None,
        wanted,
    )


def belongs(record: ItemRecord, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    """Return True if a record is of one of these kinds, or nearly, and means what is wanted of it."""
    kind = record.kind or record.near
    fields = wanted.get(kind.name) if kind is not None else None
    # What is wanted is in its one spelling, and so are nearly all ids.
    return fields is not None and all(record.id(n) == text or meant(record, n) == text for n, text in fields.items())


def is_kind(record: ItemRecord, name: str | None) -> bool:
    """Return True if a record is of this kind, or nearly."""
    kind = record.kind or record.near
    return kind is not None and kind.name == name


def meant(record: ItemRecord, name: str) -> str | None:
    """The id that a field means, in its one spelling."""
    text = record.id(name)
    return None if text is None else canonical(text)
