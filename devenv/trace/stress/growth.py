"""More items of the subject: copies of those that are there, between them in time where there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from devenv.config.trace import Trace
from devenv.core.templates import names_in
from devenv.links.read import ItemRecord, Kind, ReadPlan, read_record
from devenv.links.values import scalar_text
from devenv.trace.answers import Items, form_of_items
from devenv.trace.layers.subject_items import gather_own
from devenv.trace.observation import Entry
from devenv.trace.question import TraceContext
from devenv.trace.stress.copies import CopyRules, Slot, Swap, to_change
from devenv.trace.stress.values import FreshValues

if TYPE_CHECKING:
    from devenv.stores.dynamodb.client import Item

WRITERS: Final = 4
# Other values tried for one copy whose key is taken.
TRIES: Final = 50


@dataclass
class Growth:
    """The subject's records as they were at first, and what their copies were given. `times` as many are there.

    `failed`: why an earlier growth ended half-way, after which nothing can be said of another.
    """

    times: int = 1
    failed: str | None = None
    fresh: dict[tuple[str, str], FreshValues] = field(default_factory=dict)
    keys: set[tuple[str | None, ...]] = field(default_factory=set)

    def grow(self, context: TraceContext, person: Mapping[str, Any] | None, times: int) -> tuple[Entry, ...] | str:
        """Write copies until there are `times` as many items. Their entries, or why there are none."""
        if self.failed is not None:
            return f"the additional items could not be written in an earlier condition: {self.failed}"
        trace, plan = context.question.trace, context.facts.known_plan()
        form = form_of_items(trace, plan, rows=context.linked_rows)
        records = [] if form is None else records_to_copy(context, person)
        if form is None or not records:
            return "the subject has no items in DynamoDB that could be copied"
        if self.times == 1:
            stored = context.facts.dynamodb().items.get(form.table, ())
            self.keys = {key_of(item, plan.keys.get(form.table, ())) for item in stored}
        items, reasons = self.copies(trace, plan, records, times)
        if not items:
            return "; ".join(dict.fromkeys(reasons))
        self.failed = "it was interrupted"
        write(context, form.table, items)
        self.failed, self.times = None, times
        return form.entries(items)[0]

    def copies(
        self, trace: Trace, plan: ReadPlan, records: Sequence[ItemRecord], times: int
    ) -> tuple[list[Item], list[str]]:
        """Copies of records, and why others have none: each with a key and ids of its own. Pure."""
        form = form_of_items(trace, plan)
        assert form is not None  # noqa: S101 - the records are of its kinds
        found: list[Item] = []
        reasons: list[str] = []
        slots: list[tuple[ItemRecord, list[Slot]]] = []
        wanted = {part.kind.name: wanted_of(trace, form, part.kind) for part in form.parts}
        for record in records:
            kind = kind_of(record)
            linked = {each for edge in plan.edges if edge.table == kind.table for each in edge.ids(record.item)}
            chosen = to_change(kind, record, wanted[kind.name], linked)
            if isinstance(chosen, str):
                reasons.append(f"a copy of `{kind.name}` is not possible: {chosen}")
            else:
                slots.append((record, chosen))
        texts: dict[tuple[str, str], list[str]] = {}
        for record, chosen in slots:
            for slot in chosen:
                texts.setdefault((kind_of(record).name, slot.name), []).append(slot.text)
        for place, known in texts.items():
            self.fresh.setdefault(place, FreshValues(known))
        for _ in range(self.times, times):
            for record, chosen in slots:
                made = self.copy(plan, record, wanted[kind_of(record).name], chosen)
                if isinstance(made, str):
                    reasons.append(f"a copy of `{kind_of(record).name}` is not possible: {made}")
                else:
                    found.append(made)
        return found, reasons

    def copy(self, plan: ReadPlan, record: ItemRecord, wanted: CopyRules, chosen: Sequence[Slot]) -> Item | str:
        """One copy that is of the same kind, belongs to the same subject and has a key of its own, or why not."""
        kind = kind_of(record)
        kinds = tuple(one for one in plan.kinds if one.table == kind.table)
        for _ in range(TRIES):
            others: dict[str, str] = {}
            for slot in chosen:
                if slot.text not in others:
                    others[slot.text] = self.fresh[kind.name, slot.name].new(slot.text)
            named = {slot.name for slot in chosen} | wanted.named
            made = Swap(others, named, wanted.fixed).item(kind, record.item, record)
            read = read_record(kinds, kind.table, wanted.keys, made)
            same = all(read.values.get(name) == record.values.get(name) for name in wanted.fixed)
            if read.kind is None or read.kind.name != kind.name or not same:
                return "its key would no longer match the declared one"
            key = key_of(made, wanted.keys)
            if key not in self.keys:
                self.keys.add(key)
                return made
        return f"no free key was found in {TRIES} attempts"


def records_to_copy(context: TraceContext, person: Mapping[str, Any] | None) -> list[ItemRecord]:
    """The subject's records of a known kind, without those of which only so many may be there."""
    bounded = {part.entity for part in context.question.trace.entities if part.at_most is not None}
    gathered = gather_own(context, person).entries
    return [record for record in gathered if (kind := record.kind) is not None and kind.name not in bounded]


def kind_of(record: ItemRecord) -> Kind:
    """The kind of a record that has one."""
    assert record.kind is not None  # noqa: S101 - others are left out
    return record.kind


def key_of(item: Mapping[str, Mapping[str, Any]], keys: Sequence[str]) -> tuple[str | None, ...]:
    """The primary key as texts."""
    return tuple(scalar_text(item.get(name)) for name in keys)


def wanted_of(trace: Trace, form: Items, kind: Kind) -> CopyRules:
    """The parts of this kind that a copy must keep and change."""
    part = next(one for one in form.parts if one.kind.name == kind.name)
    declared = next(one for one in trace.kinds if one.entity == kind.name)
    ids = tuple(sorted(names_in(part.id or ""))) or ((part.id,) if part.id else ())
    order = declared.sorted_by
    return CopyRules(
        keys=form.plan.keys.get(kind.table, ()),
        fixed=frozenset(declared.where or trace.where),
        ids=ids,
        named=frozenset(one for name in declared.ids.values() for one in names_in(name) or {name}),
        sorted_by=part.names.get(order, order) if order else None,
    )


def write(context: TraceContext, table: str, items: Sequence[Item]) -> None:
    """Write items with several connections."""
    from devenv.stores.dynamodb.client import Dynamo

    target = context.facts.context.targets.dynamodb

    def part(number: int) -> None:
        with Dynamo(target) as dynamo:
            requests = [{"PutRequest": {"Item": item}} for item in items[number::WRITERS]]
            dynamo.write_batch(table, requests)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(part, range(WRITERS)))
