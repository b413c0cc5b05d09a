"""Answers as entries: what a function returned, a JSON body, DynamoDB items, rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.config.schema import Trace
from devenv.core.plural import number_of
from devenv.links.read import ItemRecord, Kind, ReadPlan, read_record
from devenv.links.values import as_text
from devenv.stores.dynamodb.client import plain_value
from devenv.trace.observation import Entry

Item = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Form:
    """How one layer writes an entry: the place of the list, the id's name, and field -> its name there."""

    items: str
    id: str | None
    names: Mapping[str, str]


def form_of_answer(trace: Trace, layer: str, items: str, renamed: Mapping[str, str]) -> Form:
    """The form of `library` or `http`: a field has its own name unless `renamed`; renamed to nothing, it is absent."""
    names = {field: renamed.get(field, field) for field in trace.fields}
    id_name = next((name for place, name in trace.ids.items() if place == layer), None)
    return Form(items, id_name, {field: name for field, name in names.items() if name})


def read_answer(value: Any, form: Form) -> tuple[tuple[Entry, ...] | None, str | None]:
    """The entries in an answer, and what is wrong with its form (None: nothing)."""
    for name in filter(None, form.items.split(".")):
        if not isinstance(value, Mapping) or name not in value:
            return None, f"{describe(value)} without `{form.items}`"
        value = value[name]
    if not isinstance(value, list):
        return None, f"{describe(value)}{f' in `{form.items}`' if form.items else ''}, not a list"
    odd = [element for element in value if not isinstance(element, Mapping)]
    if odd:
        return None, f"a list with {describe(odd[0])} in it, not of maps"
    return tuple(read_entry(element, form) for element in value), None


def read_entry(element: Mapping[str, Any], form: Form) -> Entry:
    """One element of an answer."""
    identity = as_text(walk(element, form.id)) if form.id else None
    return Entry(identity, {field: as_text(walk(element, name)) for field, name in form.names.items()})


def walk(element: Mapping[str, Any], path: str) -> Any:
    """The value under a name, or under `name.name` inside maps; None when there is none."""
    if path in element:
        return element[path]
    value: Any = element
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def describe(value: Any) -> str:
    """Return what a value is, in words, without what it says."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"a text of {number_of(len(value), 'character')}"
        case int() | float():
            return "a number"
        case Mapping():
            names = ", ".join(f"`{name}`" for name in list(value)[:5])
            return f"a map with {names}{' …' if len(value) > 5 else ''}" if value else "an empty map"
        case list():
            return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


@dataclass(frozen=True)
class Items:
    """Items of one table as entries of one kind: which kind it is, its id's field, and field -> the item's field."""

    plan: ReadPlan
    kind: Kind
    id: str | None
    names: Mapping[str, str]

    def read(self, item: Item) -> ItemRecord:
        """One item as a record of the declared kinds, whichever table it came from."""
        kinds = tuple(kind for kind in self.plan.kinds if kind.table == self.kind.table)
        return read_record(kinds, self.kind.table, self.plan.keys.get(self.kind.table, ()), item)

    def entry(self, record: ItemRecord) -> Entry:
        """A record as an entry, as it is written; an item without its id is known by its key."""
        identity = record.values.get(self.id) if self.id else None
        return Entry(identity or record.key_text, {f: self.text(record, name) for f, name in self.names.items()})

    def text(self, record: ItemRecord, name: str) -> str | None:
        """One field of a record as text."""
        if name in record.values:
            return record.values[name]
        attribute = record.item.get(self.kind.attribute_of(name))
        return None if attribute is None else as_text(plain_value(attribute))

    def entries(self, items: Iterable[Item]) -> tuple[tuple[Entry, ...], int]:
        """The entries among items, in their order, and how many items are of another kind.

        An item whose key is not there (a projection leaves it out) counts by its id.
        """
        found: list[Entry] = []
        strays = 0
        for item in items:
            record = self.read(item)
            kind = record.kind or record.near
            if kind is not None and kind.name == self.kind.name:
                found.append(self.entry(record))
            elif kind is None and self.id is not None and self.kind.attribute_of(self.id) in item:
                loose = ItemRecord(record.table, item, record.key, self.kind, None, {})
                found.append(Entry(self.text(loose, self.id), {f: self.text(loose, n) for f, n in self.names.items()}))
            else:
                strays += 1
        return tuple(found), strays


def form_of_items(trace: Trace, plan: ReadPlan) -> Items | None:
    """Return how the subject's items are read; None when it has none in DynamoDB."""
    if trace.entity is None:
        return None
    identity = next((name for place, name in trace.ids.items() if place == "dynamodb"), None)
    return Items(plan, plan.kind(trace.entity), identity, trace.fields)


def read_rows(trace: Trace, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[Entry, ...]:
    """Rows of an SQL pattern as entries; a field is the column that `fields` names."""
    identity = next((name for place, name in trace.ids.items() if place == "postgres"), None)
    form = Form("", identity, dict(trace.fields))
    return tuple(read_entry(dict(zip(columns, row, strict=True)), form) for row in rows)
