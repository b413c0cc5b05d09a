"""From configuration to a plan, and from raw items to records: which kind an item is, which fields it has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from devenv.config.schema import Entity, Group, Link, Settings
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.core.value import Value
from devenv.links.packed import Item, PackedItems, unpack
from devenv.links.values import differs, scalar_text, uuid_text

PLACE: Final = late(r"\{(\w*)\}")
SOURCE: Final = late(r"dynamodb:(?P<table>[^\[\]]+)\.(?P<attribute>[^.\[\]]+)(?:\[(?P<template>.*)\])?")
TARGET: Final = late(r"postgres:(?:(?P<schema>[^.]+)\.)?(?P<relation>[^.]+)\.(?P<column>[^.]+)")


class Template(msgspec.Struct, frozen=True):
    """`GRP#{owner_uuid}`: `parse` reads the fields out of a text, `fill` writes them in.

    `loose` matches what was probably meant: other capitals, other punctuation, stray blanks.
    """

    text: str
    names: tuple[str, ...]
    exact: re.Pattern[str]
    loose: re.Pattern[str] | None

    def parse(self, text: str) -> tuple[str, ...] | None:
        """The fields' texts in order, or None when the text has another form."""
        found = self.exact.fullmatch(text)
        return found.groups() if found else None

    def fill(self, values: Iterable[str]) -> str:
        """The text with the fields filled in, in order."""
        left = iter(values)
        return PLACE.sub(lambda _: next(left), self.text)

    def may_hold(self, name: str, value: str, text: str) -> bool:
        """Return True if the text has this value in its place: one with a separator in it divides in two ways."""
        parts = PLACE.split(self.text)
        patterns = list(map(re.escape, parts))
        patterns[1::2] = [re.escape(value) if part == name else ".*?" for part in parts[1::2]]
        return re.fullmatch("".join(patterns), text, re.DOTALL) is not None


class Field(msgspec.Struct, frozen=True):
    """One declared field: the attribute it is read from, its type, and the template it is a part of, if any."""

    name: str
    attribute: str
    type: str
    optional: bool
    template: Template | None = None


class Kind(msgspec.Struct, frozen=True):
    """A compiled `[entities.<name>]`. `beside`: (attribute, template, placeholder) with a name of another attribute;
    `uuids`: the placeholders that are declared as uuids.
    """

    name: str
    table: str
    matchers: tuple[tuple[str, Template], ...]
    fields: tuple[Field, ...]
    unique: tuple[str, ...]
    ttl: str | None
    beside: tuple[tuple[str, Template, str], ...] = ()
    uuids: frozenset[str] = frozenset()

    def field(self, name: str) -> Field:
        """The declared field `name`; KeyError when there is none."""
        return next(field for field in self.fields if field.name == name)

    def attribute_of(self, name: str) -> str:
        """The attribute that holds field `name`; an undeclared field is an attribute of its own name."""
        return next((field.attribute for field in self.fields if field.name == name), name)


class Edge(msgspec.Struct, frozen=True):
    """A compiled `[[links]]`. `relation` is `(schema, table)`; `natural` and `copies` are (attribute, column);
    `pairs` are both, each attribute once.
    """

    name: str
    table: str
    attribute: str
    template: Template | None
    relation: tuple[str, str]
    column: str
    natural: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    pairs: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        """`public.users.uuid`, for messages."""
        return ".".join((*self.relation, self.column))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that this link reads."""
        return tuple(dict.fromkeys([self.column, *(c for _, c in self.natural), *(c for _, c in self.copies)]))

    def ids(self, item: Item) -> tuple[str, ...]:
        """The ids that `item` names through this link: one, several (sets, lists), or none."""
        texts = self.texts(item)
        if self.template is None:
            return texts
        return tuple(found for one in texts for found in self.template.parse(one) or ())

    def texts(self, item: Item) -> tuple[str, ...]:
        """The attribute of `item` as texts: one, several (sets, lists), or none."""
        value = item.get(self.attribute)
        if value is None:
            return ()
        if (text := scalar_text(value)) is not None:
            return (text,)
        many = value.get("SS") or value.get("NS") or [scalar_text(part) for part in value.get("L", ())]
        return tuple(part for part in many if part is not None)


def holds_no_id(value: Mapping[str, Any]) -> bool:
    """Return True if an attribute is there and is neither text nor number, nor a set or list of those, nor NULL."""
    if "L" in value:
        return has_odd_part(value["L"])
    return not value.keys() & {"S", "N", "NULL", "SS", "NS"}


def has_odd_part(parts: Iterable[Mapping[str, Any]]) -> bool:
    """Return True if a list has a member that is neither text nor number nor NULL: links read no id in it."""
    return any(not part.keys() & {"S", "N", "NULL"} for part in parts)


class ReadPlan(Value, frozen=True):
    """Everything declared about items, compiled once. `keys` maps a table to its key attributes.

    `shown` are further columns of linked rows, which an answer shows.
    """

    kinds: tuple[Kind, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...]
    keys: Mapping[str, tuple[str, ...]]
    shown: Mapping[tuple[str, str], tuple[str, ...]] = {}

    @property
    def tables(self) -> tuple[str, ...]:
        """The DynamoDB tables that anything is declared about."""
        return tuple(dict.fromkeys([*(k.table for k in self.kinds), *(e.table for e in self.edges)]))

    @property
    def relations(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """`(schema, table)` -> the columns that links read of it."""
        wanted: dict[tuple[str, str], dict[str, None]] = {}
        for edge in self.edges:
            wanted.setdefault(edge.relation, {}).update(dict.fromkeys(edge.columns))
        return {relation: tuple(columns) for relation, columns in wanted.items()}

    def kind(self, name: str) -> Kind:
        """The kind `name`; KeyError when it is not declared."""
        return next(kind for kind in self.kinds if kind.name == name)


class ItemRecord(msgspec.Struct, eq=False):
    """One item, read: its kind (None: none of the declared ones), its fields as text, its ids as they should be.

    `held` is the item as it is, or packed (packed.py). `near` names the kind whose key this item's key nearly has.
    `read` are the fields, of a packed item of a known kind None: a large table's would take most of the memory, so they
    are read again when asked for. `bad` are fields with a fault of their own, which later judgements leave out. `ids`
    maps a field of the `linked` ones to the id of the row it means, where that is another text. `clashes` are the
    placeholders that differ from their attribute.
    """

    table: str
    held: Item | bytes
    keys: tuple[str, ...]
    kind: Kind | None
    near: Kind | None
    read: dict[str, str] | None
    bad: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    ids: dict[str, str] | None = None
    clashes: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """Its fields as text."""
        if self.read is not None:
            return self.read
        return unpack_fields(self.kind, self.held) if self.kind and isinstance(self.held, bytes) else {}

    @property
    def item(self) -> Item:
        """The raw item."""
        return unpack(self.held) if isinstance(self.held, bytes) else self.held

    @property
    def key(self) -> dict[str, Mapping[str, Any]]:
        """Those of its key attributes that it has."""
        item = self.item
        return {name: item[name] for name in self.keys if name in item}

    @property
    def key_text(self) -> str:
        """`MSG#5ae2… 2023-06-24T…`: the key's values, for messages."""
        return " ".join(scalar_text(value) or str(value) for value in self.key.values())

    def id(self, name: str) -> str | None:
        """The id that field `name` means: of the row where one is known, else as it is written."""
        return self.meant(name) or self.values.get(name)

    def meant(self, name: str) -> str | None:
        """The id of the row that field `name` means; None where no link says so."""
        if name not in self.linked:
            return None
        return self.ids[name] if self.ids and name in self.ids else self.values.get(name)

    def set_id(self, name: str, id: str) -> None:
        """Take the id that field `name` means: mostly the field's own text, which is not kept twice."""
        self.linked = with_name(self.linked, name)
        if id != self.values.get(name):
            self.ids = {**(self.ids or {}), name: id}
        elif self.ids and name in self.ids:
            del self.ids[name]


def compile_plan(settings: Settings, keys: Mapping[str, tuple[str, ...]]) -> ReadPlan:
    """The declared entities, links and groups, compiled. UsageError where they contradict each other."""
    kinds = tuple(
        sorted((compile_kind(name, entity) for name, entity in settings.entities.items()), key=specific, reverse=True)
    )
    for group in settings.groups:
        for name in filter(None, (group.rows, group.entries)):
            if name not in settings.entities:
                raise UsageError(f"[[groups]] {group.name}: there is no [entities.{name}]", hint="devenv config check")
    return ReadPlan(kinds, tuple(map(compile_edge, settings.links)), tuple(settings.groups), keys)


def specific(kind: Kind) -> int:
    """Return how much literal text a kind's key has: an item is of the most specific kind that it matches."""
    return sum(len(PLACE.sub("", template.text)) for _, template in kind.matchers)


def compile_template(text: str) -> Template:
    """`GRP#{owner_uuid}` as patterns. A place without a name (`{}`) is allowed."""
    parts = PLACE.split(text)
    literals, names = parts[::2], parts[1::2]
    exact = "".join(re.escape(lit) + ("(.*?)" if i < len(names) else "") for i, lit in enumerate(literals))
    loose = None
    if any(character.isalnum() for literal in literals for character in literal):
        words = [r"[\W_]*".join(["", *re.findall(r"[^\W_]+", literal), ""]) for literal in literals]
        loose = re.compile("(.*?)".join(words), re.IGNORECASE | re.DOTALL)
    return Template(text, tuple(names), re.compile(exact, re.DOTALL), loose)


def compile_kind(name: str, entity: Entity) -> Kind:
    """One `[entities.<name>]` with its fields bound to attributes."""
    matchers = tuple((attribute, compile_template(text)) for attribute, text in entity.match.items())
    places = {place: (attribute, template) for attribute, template in matchers for place in template.names}
    declared = {**dict.fromkeys(places, "string"), **entity.attributes}
    fields = []
    for field_name, type_name in declared.items():
        attribute, template = places.get(field_name, (field_name, None))
        whole = template is None or template.text == f"{{{field_name}}}"
        optional = type_name.endswith("?")
        fields.append(Field(field_name, attribute, type_name.rstrip("?"), optional, None if whole else template))
    uuids = frozenset(field.name for field in fields if field.type == "uuid" and field.template is not None)
    beside = tuple((a, template, place) for a, template in matchers for place in template.names if place not in ("", a))
    return Kind(name, entity.table, matchers, tuple(fields), tuple(entity.unique), entity.ttl, beside, uuids)


def compile_edge(link: Link) -> Edge:
    """One `[[links]]`. UsageError when an end cannot be read."""
    source, target = SOURCE.fullmatch(link.source), TARGET.fullmatch(link.to)
    if source is None or target is None:
        bad = link.source if source is None else link.to
        raise UsageError(f"[[links]]: `{bad}` is not a column or an attribute", hint="devenv config check")
    template = compile_template(source["template"]) if source["template"] else None
    return Edge(
        name=link.name or link.source.removeprefix("dynamodb:"),
        table=source["table"],
        attribute=source["attribute"],
        template=template,
        relation=(target["schema"] or "public", target["relation"]),
        column=target["column"],
        natural=tuple(link.natural_key.items()),
        copies=tuple(link.copies.items()),
        pairs=tuple({**link.natural_key, **link.copies}.items()),
    )


def read_records(plan: ReadPlan, table: str, items: Iterable[Item]) -> Iterable[ItemRecord]:
    """Each item of `table` as a record, one at a time."""
    kinds = tuple(kind for kind in plan.kinds if kind.table == table)
    keys = plan.keys.get(table, ())
    for held in items.packed if isinstance(items, PackedItems) else items:
        yield read_record(kinds, table, keys, held)


def read_record(kinds: tuple[Kind, ...], table: str, keys: tuple[str, ...], held: Item | bytes) -> ItemRecord:
    """One item as a record. `kinds` are those of its table, the most specific first."""
    item = unpack(held) if isinstance(held, bytes) else held
    for kind in kinds:
        values = match(kind, item, loose=False)
        if values is not None:
            clashes = find_clashes(kind, item) if kind.beside else ()
            read = None if isinstance(held, bytes) else read_fields(kind, item, values)
            return ItemRecord(table, held, keys, kind, None, read, clashes=clashes)
    for kind in kinds:
        values = match(kind, item, loose=True)
        if values is not None:
            return ItemRecord(table, held, keys, None, kind, read_fields(kind, item, values))
    return ItemRecord(table, held, keys, None, None, {})


def match(kind: Kind, item: Item, *, loose: bool) -> dict[str, str] | None:
    """The fields in the kind's templates when all of them match; `loose` as what was probably meant."""
    values: dict[str, str] = {}
    if loose and all(template.loose is None for _, template in kind.matchers):
        return None
    for attribute, template in kind.matchers:
        value = item.get(attribute)
        if value is None or (text := scalar_text(value)) is None:
            return None
        pattern = template.loose if loose and template.loose else template.exact
        found = pattern.fullmatch(text)
        if found is None:
            return None
        values.update(zip(template.names, found.groups(), strict=True))
    return values


def find_clashes(kind: Kind, item: Item) -> tuple[tuple[str, str, str, str], ...]:
    """(key attribute, placeholder, its text there, the text of the attribute of that name), where these differ."""
    found = []
    for attribute, template, name in kind.beside:
        # Mostly there is no such attribute.
        other = scalar_text(item.get(name))
        text = scalar_text(item.get(attribute)) if other is not None else None
        parts = template.parse(text) if other is not None and text is not None else None
        if parts is None or text is None or other is None:
            continue
        mine = parts[template.names.index(name)]
        # Beside an id of the declared type, a text that is none is another value; elsewhere it may be an abbreviation.
        strange = name in kind.uuids and uuid_text(mine) is not None and uuid_text(other) is None
        if mine != other and (strange or differs(mine, other)) and not template.may_hold(name, other, text):
            found.append((attribute, name, mine, other))
    return tuple(found)


@lru_cache
def with_name(names: frozenset[str], name: str) -> frozenset[str]:
    """One set for all records that have these names."""
    return names | {name}


class LastFields:
    """The fields of the packed item that was read last: a judgement asks the same one several times in a row."""

    found: tuple[Kind, bytes, dict[str, str]] | None = None


def unpack_fields(kind: Kind, packed: bytes) -> dict[str, str]:
    """The fields of a packed item of this kind. Threads may ask for different ones."""
    last = LastFields.found
    if last is None or last[0] is not kind or last[1] is not packed:
        item = unpack(packed)
        LastFields.found = last = (kind, packed, read_fields(kind, item, match(kind, item, loose=False) or {}))
    return last[2]


def read_fields(kind: Kind, item: Item, values: dict[str, str]) -> dict[str, str]:
    """`values` (from the key) with the text of every other declared field that has one."""
    for declared in kind.fields:
        if declared.name not in values:
            value = item.get(declared.attribute)
            if value is not None and (text := scalar_text(value)) is not None:
                values[declared.name] = text
    return values
