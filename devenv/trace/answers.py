"""Answers as entries: what a function returned, a JSON body, DynamoDB items, rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from devenv.config.trace import Trace
from devenv.core.plural import number_of
from devenv.core.templates import fill, names_in
from devenv.core.value import Value
from devenv.links.read import ItemRecord, Kind, ReadPlan, read_record
from devenv.links.shown import LinkedColumn, LinkedRows, linked_columns
from devenv.links.values import as_text
from devenv.stores.dynamodb.client import plain_value
from devenv.trace.observation import NO_MAPS, Entry

Item = Mapping[str, Mapping[str, Any]]
# How many maps lie around a value that is looked for beside an entry.
DEEPEST: Final = 3


class Form(Value, frozen=True):
    """How one layer writes one kind of entry: the place of the list, the id's name, and field -> its name there.

    `kind` is the kind's name where the answer consists of several; such a place may hold an object instead of a list.
    So may any place, if the object has the id and the fields of an entry.
    `only` keeps the elements whose values match these patterns.
    """

    items: str
    id: str | None
    names: Mapping[str, str]
    kind: str = ""
    only: Mapping[str, str] = {}


def forms_of_answer(trace: Trace, layer: Literal["library", "http"]) -> tuple[Form, ...]:
    """The forms of `library` or `http`, one for each kind that it shows.

    A field has its own name unless it is renamed; renamed to nothing, it is absent.
    """
    section = trace.library if layer == "library" else trace.request
    items, renamed = (section.items, section.fields) if section is not None else ("", {})
    if not trace.entities:
        return (Form(items, trace.ids.get(layer), names_of(trace.fields, renamed)),)
    found = []
    for part in trace.entities:
        shape = part.library if layer == "library" else part.request
        if shape.shown:
            place = ".".join(filter(None, (items, shape.items)))
            names = names_of(part.fields, {**renamed, **shape.fields})
            found.append(Form(place, part.ids.get(layer), names, part.entity, shape.only))
    return tuple(found)


def repeated(entries: Sequence[Entry]) -> Iterator[str]:
    """A sentence for the commonest id that several entries have: which of them is which cannot be told."""
    counts = Counter(entry.id for entry in entries if entry.id is not None)
    name, count = next(iter(counts.most_common(1)), ("", 0))
    if count > 1:
        more = sum(1 for each in counts.values() if each > 1) - 1
        also = f"; {number_of(more, 'more id')} {'is' if more == 1 else 'are'} repeated" if more else ""
        same = f"{number_of(count, 'entry')} have the same id (`{name}`{also})"
        yield f"{same}; devenv can compare entries only by unique ids"


def unplaced(forms: Sequence[Form], entries: Sequence[Entry] | None) -> Iterator[str]:
    """Sentences for entries in lists inside others: which list each stands in was not compared."""
    kinds = Counter(entry.kind for entry in entries or ())
    for form in forms:
        for outer in forms:
            inside = form.items != outer.items and form.items.startswith(f"{outer.items}." if outer.items else "")
            if inside and kinds[outer.kind] > 1:
                yield f"not compared: which {outer.kind} each {form.kind} of the answer belongs to"


def names_of(fields: Iterable[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Field -> its name in an answer; what is renamed to nothing is left out."""
    names = {name: renamed.get(name, name) for name in fields}
    return {name: there for name, there in names.items() if there}


def read_answer(value: Any, forms: Sequence[Form]) -> tuple[tuple[Entry, ...] | None, str | None]:
    """The entries in an answer, kind by kind, and what is wrong with its form (None: nothing).

    The fields of one thing may also stand beside its place: they are found by their path from the answer's top.
    """
    found: list[Entry] = []
    for form in forms:
        elements, wrong = find_elements(value, form)
        if wrong is not None:
            return None, wrong
        alone = bool(form.items) and isinstance(value, Mapping) and elements == [walk(value, form.items)]
        found += [read_entry(element, form, value if alone else None) for element in elements]
    return tuple(found), None


def names_of_entries(value: Any, forms: Sequence[Form]) -> tuple[str, ...]:
    """The fields of the first entry of each form, as the answer calls them."""
    first = [found[0] for form in forms if (found := find_elements(value, form)[0])]
    return tuple(dict.fromkeys(str(name) for element in first for name in element))


def find_elements(value: Any, form: Form) -> tuple[list[Mapping[str, Any]], str | None]:
    """The elements at a form's place, and what is wrong there. For one of several kinds, lists are walked through."""
    level = [value]
    for name in filter(None, form.items.split(".")):
        if form.kind:
            parts = [part for each in level for part in (each if isinstance(each, list) else [each])]
            level = [part for part in parts if part is not None]
        for each in level:
            if not isinstance(each, Mapping) or name not in each:
                return [], f"{describe(each)} without `{form.items}`"
        level = [each[name] for each in level]
    elements: list[Any] = []
    for each in level:
        if isinstance(each, list):
            elements += each
        elif isinstance(each, Mapping) and not form.kind and is_the_entry(each, form):
            elements.append(each)
        elif not form.kind or not (each is None or isinstance(each, Mapping)):
            lists = lists_in(each)
            place = f" in `{form.items}`" if form.items else ""
            return [], f"{'a map' if lists else describe(each)}{place}, not a list{lists}"
        elif each is not None:
            elements.append(each)
    if odd := [element for element in elements if not isinstance(element, Mapping)]:
        return [], f"a list that contains {describe(odd[0])}, {NO_MAPS}"
    return [element for element in elements if is_wanted(element, form.only)], None


def is_the_entry(value: Mapping[str, Any], form: Form) -> bool:
    """Return True if a map, where a list could stand, is the one thing that was asked for: it has the entry's id.

    A map with a list in it may be the list's envelope: it needs the fields, too.
    """
    if form.id is None or any(walk(value, name) is None for name in names_in(form.id) or {form.id}):
        return False
    fields = [name for name in form.names.values() if has(value, name)]
    return bool(fields or not form.names) and (not lists_in(value) or len(fields) == len(form.names) > 0)


def lists_in(value: Any) -> str:
    """Which places of a map hold lists, behind its description: `; its field `data.orders` is a list`; else ""."""
    if not isinstance(value, Mapping):
        return ""
    maps = [(name, part) for name, part in value.items() if isinstance(part, Mapping)]
    inside = [(f"{name}.{inner}", each) for name, part in maps for inner, each in part.items()]
    names = [f"`{name}`" for name, each in (*value.items(), *inside) if isinstance(each, list)]
    if len(names) == 1:
        return f"; its field {names[0]} is a list"
    return f"; its fields {', '.join(names)} are lists" if names else ""


def is_wanted(element: Mapping[str, Any], only: Mapping[str, str]) -> bool:
    """Return True if an element's values match the patterns that tell its kind from others."""
    return all(fnmatchcase(as_text(walk(element, name)) or "", pattern) for name, pattern in only.items())


def read_entry(element: Mapping[str, Any], form: Form, top: Mapping[str, Any] | None = None) -> Entry:
    """One element of an answer. `top` is the answer around the only element: a missing field may be there."""
    identity = name_entry(form.kind, form.id, lambda name: as_text(walk(element, name)))
    if all(there in element for there in form.names.values()):
        # Nearly always all of them are there.
        return Entry(identity, {name: as_text(element[there]) for name, there in form.names.items()}, form.kind)
    holders = {
        name: top if top is not None and not has(element, there) and has(top, there) else element
        for name, there in form.names.items()
    }
    fields = {name: as_text(walk(holders[name], there)) for name, there in form.names.items()}
    absent = frozenset(
        name for name, there in form.names.items() if fields[name] is None and not has(holders[name], there)
    )
    if not absent:
        return Entry(identity, fields, form.kind)
    used = {*form.names.values(), *(names_in(form.id) or {form.id} if form.id else ())}
    texts = {name: as_text(value) for name, value in element.items() if name not in used}
    beside = dict(leaves(top, form.items)) if top is not None else {}
    others = {str(name): text for name, text in {**beside, **texts}.items() if text is not None and name not in used}
    return Entry(identity, fields, form.kind, absent, others)


def leaves(value: Mapping[str, Any], left_out: str, place: str = "") -> Iterator[tuple[str, str | None]]:
    """The values in an answer's maps by their paths, without those below `left_out`."""
    for name, inner in value.items():
        path = f"{place}.{name}" if place else str(name)
        if path == left_out or path.count(".") > DEEPEST:
            continue
        if isinstance(inner, Mapping):
            yield from leaves(inner, left_out, path)
        elif not isinstance(inner, list):
            yield path, as_text(inner)


def name_entry(kind: str, declared: str | None, read: Callable[[str], str | None]) -> str | None:
    """The id of an entry, behind its kind where there are several; None when it has none.

    `declared` is a field, or a template over several: `{order_id}-{line}`.
    """
    if declared is None:
        return None
    if "{" not in declared:
        identity = read(declared)
        return f"{kind} {identity}" if kind and identity is not None else identity
    values = {name: read(name) for name in names_in(declared) or {declared}}
    known = {name: text for name, text in values.items() if text is not None}
    if len(known) < len(values):
        return None
    identity = str(fill(declared, known)) if names_in(declared) else known[declared]
    return f"{kind} {identity}" if kind else identity


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


def has(element: Mapping[str, Any], path: str) -> bool:
    """Return True if there is a value under a name, or under `name.name` inside maps; null is one."""
    head, dot, last = path.rpartition(".")
    inner = walk(element, head) if dot else None
    return path in element or (isinstance(inner, Mapping) and last in inner)


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
            return f"a list of {len(value)}" if value else "an empty list"
    return f"a {type(value).__name__}"


class Part(Value, frozen=True):
    """One kind of the items that belong to a subject. `label` is its name in ids, where there are several kinds.

    `names` are its fields of the item, `linked` those of the rows that links lead to.
    """

    kind: Kind
    id: str | None
    names: Mapping[str, str]
    label: str = ""
    linked: Mapping[str, LinkedColumn] = {}
    rows: LinkedRows | None = None

    def entry(self, record: ItemRecord) -> Entry:
        """A record as an entry, as it is written; an item without its id is known by its key."""
        identity = name_entry(self.label, self.id, record.values.get)
        if not identity:
            identity = f"{self.label} {record.key_text}" if self.label else record.key_text
        return Entry(identity, self.fields(record), self.label)

    def loose_entry(self, record: ItemRecord) -> Entry:
        """The same of an item that a projection took the key from."""
        identity = name_entry(self.label, self.id, lambda name: self.text(record, name))
        return Entry(identity, self.fields(record), self.label)

    def fields(self, record: ItemRecord) -> dict[str, str | None]:
        """The declared fields of a record. One of a linked row is not there if the row is not known.

        If a key contradicts the attribute of the same name, the field is the attribute: that is what code returns.
        """
        values = record.values
        if record.clashes:
            values = {**values, **{name: text for _, name, _, text in record.clashes if text}}
        found = {
            name: values[there] if there in values else self.text(record, there) for name, there in self.names.items()
        }
        return found | dict(self.rows.texts(self.linked, record.item)) if self.rows and self.linked else found

    def text(self, record: ItemRecord, name: str) -> str | None:
        """One field of a record as text."""
        if name in record.values:
            return record.values[name]
        attribute = record.item.get(self.kind.attribute_of(name))
        return None if attribute is None else as_text(plain_value(attribute))


class Items(Value, frozen=True):
    """Items of one table as entries: of which kinds. `besides` are kinds that a read may bring, too."""

    plan: ReadPlan
    parts: tuple[Part, ...]
    besides: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        """The table of all of them."""
        return self.parts[0].kind.table

    def part(self, record: ItemRecord) -> Part | None:
        """The part that a record belongs to, or nearly; None when it is of another kind."""
        kind = record.kind or record.near
        return next((part for part in self.parts if kind is not None and part.kind.name == kind.name), None)

    def entry(self, record: ItemRecord) -> Entry:
        """A record of one of the kinds as an entry."""
        return (self.part(record) or self.parts[0]).entry(record)

    def entries(self, items: Iterable[Item]) -> tuple[tuple[Entry, ...], int]:
        """The entries among items, kind by kind, each in their order, and how many items are of another kind.

        An item whose key is not there (a projection leaves it out) counts by its id.
        """
        kinds = tuple(kind for kind in self.plan.kinds if kind.table == self.table)
        found: list[Entry] = []
        strays = 0
        for item in items:
            record = read_record(kinds, self.table, self.plan.keys.get(self.table, ()), item)
            kind = record.kind or record.near
            part = self.part(record)
            if part is not None:
                found.append(part.entry(record))
            elif kind is None and (loose := self.loose(item)) is not None:
                found.append(loose.loose_entry(ItemRecord(record.table, item, record.keys, loose.kind, None, {})))
            else:
                strays += kind is None or kind.name not in self.besides
        return by_kind(found, [part.label for part in self.parts]), strays

    def loose(self, item: Item) -> Part | None:
        """The part whose id an item without a readable key has."""
        for part in self.parts:
            names = names_in(part.id) or {part.id} if part.id else set()
            if names and all(part.kind.attribute_of(name) in item for name in names if name):
                return part
        return None


def by_kind(entries: Iterable[Entry], kinds: Sequence[str]) -> tuple[Entry, ...]:
    """Entries kind by kind, each in their order: how kinds stand to each other differs from layer to layer."""
    return tuple(sorted(entries, key=lambda entry: kinds.index(entry.kind) if entry.kind in kinds else len(kinds)))


def form_of_items(
    trace: Trace, plan: ReadPlan, besides: Iterable[str] = (), rows: LinkedRows | None = None
) -> Items | None:
    """Return how the subject's items are read; None when it has none in DynamoDB.

    Fields of linked rows are read from `rows`; without them they are left out.
    """
    parts = []
    for part in trace.kinds:
        kind = plan.kind(part.entity)
        linked = linked_columns(plan, kind, part.fields)
        names = {name: target for name, target in part.fields.items() if name not in linked}
        label = part.entity if trace.entities else ""
        parts.append(Part(kind, part.ids.get("dynamodb"), names, label, linked, rows))
    return Items(plan, tuple(parts), frozenset(besides)) if parts else None


def read_rows(
    trace: Trace, columns: Sequence[str], rows: Iterable[Sequence[Any]], without: Container[str] = ()
) -> tuple[Entry, ...]:
    """Rows of an SQL pattern as entries; a field is the column that `fields` names. `without` are fields left out."""
    identity = next((name for place, name in trace.ids.items() if place == "postgres"), None)
    form = Form("", identity, {name: target for name, target in trace.fields.items() if name not in without})
    return tuple(read_entry(dict(zip(columns, row, strict=True)), form) for row in rows)
