"""More items of the subject: copies of those that are there, older than all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from devenv.core.templates import names_in
from devenv.links.values import number_text
from devenv.trace.answers import Items, Part, form_of_items
from devenv.trace.difference import moment
from devenv.trace.layers.dynamodb import gather
from devenv.trace.observation import Entry
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.links.read import Field, ItemRecord, Kind
    from devenv.stores.dynamodb.client import Item

WRITERS: Final = 4


def grow(context: TraceContext, person: Mapping[str, Any] | None, have: int, times: int) -> tuple[Entry, ...] | None:
    """Write copies until there are `times` as many items; `have` times as many are there. Their entries.

    None when the subject's items cannot be copied.
    """
    form = form_of_items(context.question.trace, context.facts.plan)
    if form is None:
        return None
    bounded = {part.entity for part in context.question.trace.entities if part.at_most is not None}
    gathered = gather(context, context.facts.judgement(), person).entries
    records = [record for record in gathered if (kind := record.kind) is not None and kind.name not in bounded]
    if not records:
        return None
    made = [(record, number) for number in range(have, times) for record in records]
    items = list(copies(context, form, made, have * len(records)))
    write(context, form.table, items)
    return form.entries(items)[0]


def copies(context: TraceContext, form: Items, made: list[tuple[ItemRecord, int]], first: int) -> Iterator[Item]:
    """Copies of records, each with a key and ids of its own; the first of them is the `first` in age."""
    fields = {part.kind.name: changing(context, part) for part in form.parts}
    texts = [r.values.get(f.name, "") for r, _ in made for f in fields[kind_of(r).name] if f.type == "time"]
    oldest = min((found for text in texts if (found := moment(text))), default=datetime.now(UTC))
    for place, (record, number) in enumerate(made, first):
        kind, values = kind_of(record), dict(record.values)
        for field in fields[kind.name]:
            values[field.name] = another(field.type, values.get(field.name, ""), number, oldest, place)
        yield with_values(kind, record.item, values, {field.attribute for field in fields[kind.name]})


def kind_of(record: ItemRecord) -> Kind:
    """The kind of a record that has one."""
    assert record.kind is not None  # noqa: S101 - others are left out
    return record.kind


def changing(context: TraceContext, part: Part) -> list[Field]:
    """The fields of a kind that must differ in a copy: of its key, and its ids; not those that the subject names."""
    trace = context.question.trace
    keys = set(context.facts.plan.keys.get(part.kind.table, ()))
    own = {*part.kind.unique, *(names_in(part.id or "") or {part.id or ""})}
    fixed = next((set(one.where) for one in trace.entities if one.entity == part.kind.name and one.where), None)
    named = set(trace.where) if fixed is None else fixed
    return [f for f in part.kind.fields if f.name not in named and (f.name in own or f.attribute in keys)]


def another(kind: str, text: str, number: int, oldest: datetime, place: int) -> str:
    """A value of the same type that no other item has."""
    if kind == "uuid":
        return str(uuid.uuid4())
    if kind == "time":
        earlier = oldest - timedelta(seconds=1 + place)
        shown = earlier.isoformat(timespec="microseconds" if "." in text else "seconds")
        return shown.replace("+00:00", "Z") if text.endswith("Z") else shown
    if kind == "number":
        return number_text(str(int(float(text or 0)) + 1_000_000 * number + place))
    return f"{text}-{number}-{place}"


def with_values(
    kind: Kind, item: Mapping[str, Mapping[str, Any]], values: Mapping[str, str], attributes: set[str]
) -> Item:
    """An item with other texts in these attributes."""
    made: Item = {name: dict(value) for name, value in item.items()}
    templates = dict(kind.matchers)
    for attribute in attributes:
        template = templates.get(attribute)
        field = next(one for one in kind.fields if one.attribute == attribute)
        text = template.fill(values[name] for name in template.names) if template else values[field.name]
        letter = next(iter(item.get(attribute, {"S": ""})))
        made[attribute] = {letter: text}
    return made


def write(context: TraceContext, table: str, items: list[Item]) -> None:
    """Write items with several connections."""
    from devenv.stores.dynamodb.client import Dynamo

    target = context.facts.context.targets.dynamodb

    def part(number: int) -> None:
        with Dynamo(target) as dynamo:
            requests = [{"PutRequest": {"Item": item}} for item in items[number::WRITERS]]
            dynamo.write_batch(table, requests)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(part, range(WRITERS)))
