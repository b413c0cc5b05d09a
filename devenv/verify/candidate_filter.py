"""Extracts the parts of an item to compare: the fast half of verify, which never decides that something is wrong.

An item that could not be told to be right becomes a candidate, by its place; `recheck` reads it again and judges it
with `devenv.links.judge`, as doctor does. So this half may only err on the side of too many candidates.
Columns of a whole page are worked on at once, and texts that occur again in a page are worked out once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final
from zlib import crc32

import msgspec

from devenv.config.schema import Group
from devenv.core.late import late
from devenv.links.expiry import is_past
from devenv.links.judge import Edge, Kind, ReadPlan
from devenv.links.read import Field, has_odd_part, match
from devenv.links.resolve import field_of
from devenv.links.values import CANONICAL_UUID, canonical, instant, number_text, uuid_text
from devenv.verify.spill import NOTHING, Spill, digest, key_of

ODD: Final = "odd"
ABSENT: Final = "\0absent"
TAGS: Final = ("S", "N", "BOOL", "NULL", "B", "SS", "NS", "L")
TYPED: Final = frozenset(["uuid", "number", "string", "time"])
# How a column's values are written as text, so that an item's text can be compared with it.
ColumnClass = str
UUIDS: Final = late(f"(?:{CANONICAL_UUID.pattern})*")
PLAIN, NUMBER, TIME, BOOLEAN = "plain", "number", "time", "boolean"

Value = msgspec.defstruct("Value", [(tag, Any, None) for tag in TAGS], gc=False)


def link_channel(number: int) -> str:
    """The channel of the plan's `number`th link."""
    return f"link:{number}"


def unique_channel(table: str, name: str) -> str:
    """The channel of a field that occurs once per table."""
    return f"unique:{name}:{table}"


def group_channels(number: int) -> tuple[str, str]:
    """The channels of rows and of entries of the plan's `number`th group."""
    return f"rows:{number}", f"entries:{number}"


def pairs_of(edge: Edge) -> tuple[tuple[str, str], ...]:
    """(attribute, column) of everything that must agree with the row."""
    return tuple(dict([*edge.natural, *edge.copies]).items())


def identity_fields(plan: ReadPlan, kind: Kind) -> tuple[Field, ...]:
    """The fields that hold ids: declared uuids, what links read, what is unique, what makes a group."""
    names = {field.name for field in kind.fields if field.type == "uuid"} | set(kind.unique)
    names |= {name for edge in plan.edges if edge.table == kind.table and (name := field_of(kind, edge))}
    for group in plan.groups:
        if kind.name == group.rows:
            names |= {name for name in (group.id, group.owner, group.other) if name}
        if kind.name == group.entries:
            names.add(group.id)
    return tuple(field for field in kind.fields if field.name in names)


def wanted_attributes(plan: ReadPlan, table: str) -> tuple[str, ...]:
    """The attributes of a table that the comparison needs; nothing else is asked for."""
    wanted = dict.fromkeys(plan.keys[table])
    for kind in plan.kinds:
        if kind.table == table:
            wanted.update(dict.fromkeys(attribute for attribute, _ in kind.matchers))
            wanted.update(dict.fromkeys(field.attribute for field in identity_fields(plan, kind)))
            wanted.update(dict.fromkeys(kind.attribute_of(name) for name in kind.unique))
            wanted.update(dict.fromkeys(name for _, _, name in kind.beside))
            if kind.ttl:
                wanted[kind.ttl] = None
    for edge in plan.edges:
        if edge.table == table:
            wanted.update(dict.fromkeys([edge.attribute, *(attribute for attribute, _ in pairs_of(edge))]))
    return tuple(wanted)


@dataclass(frozen=True)
class KeyReading:
    """An item's key, read: its kind (None: no declared kind), the fields in the key, `odd` if one is no id."""

    name: str
    kind: Kind | None
    values: Mapping[str, str]
    odd: bool


@dataclass
class Lot:
    """Items of one kind of one page, as columns: the items, what their keys say, and their numbers as bytes."""

    items: Sequence[Any]
    readings: Sequence[KeyReading]
    places: Sequence[bytes]

    def pick(self, chosen: Sequence[int]) -> Lot:
        """Some of them."""
        return Lot(
            [self.items[n] for n in chosen], [self.readings[n] for n in chosen], [self.places[n] for n in chosen]
        )


@dataclass
class Tally:
    """The counts of one segment. `masks`: link -> which copies were there, as sets of bits.

    `unread`: attribute -> items in which a link can read no id. `ids`: link -> how many it read.
    """

    items: int = 0
    known: int = 0
    expired: int = 0
    masks: dict[str, list[int]] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)


class Sieve:
    """The sieve of one table. `classes` maps (schema, table, column) to how that column's values are written."""

    def __init__(self, plan: ReadPlan, table: str, classes: Mapping[tuple[str, str, str], ColumnClass]) -> None:
        self.plan = plan
        self.table = table
        self.attributes = wanted_attributes(plan, table)
        self.kinds = tuple(kind for kind in plan.kinds if kind.table == table)
        self.edges = [(number, edge) for number, edge in enumerate(plan.edges) if edge.table == table]
        self.matched = tuple(dict.fromkeys(attribute for kind in self.kinds for attribute, _ in kind.matchers))
        self.place = {attribute: f"f{number}" for number, attribute in enumerate(self.attributes)}
        self.fields = {kind.name: identity_fields(plan, kind) for kind in self.kinds}
        self.texts = {
            (number, attribute): WRITERS.get(classes.get((*edge.relation, column), PLAIN), plain_text)
            for number, edge in self.edges
            for attribute, column in pairs_of(edge)
        }
        self.targets = {number: classes.get((*edge.relation, edge.column), PLAIN) for number, edge in self.edges}
        item = msgspec.defstruct(
            "Item",
            [(place, Value | None, None) for place in self.place.values()],
            rename={place: attribute for attribute, place in self.place.items()},
            gc=False,
        )
        page = msgspec.defstruct(
            "Page",
            [
                ("Items", list[item]),  # type: ignore[valid-type]
                ("Count", int),
                ("ScannedCount", int),
                ("LastEvaluatedKey", dict[str, Any] | None, None),
            ],
        )
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(page)
        self.page = page

    def values(self, items: Sequence[Any], attribute: str) -> list[Any]:
        """One attribute of these items as values (None: not there)."""
        return list(map(attrgetter(self.place[attribute]), items))

    def column(self, items: Sequence[Any], attribute: str) -> list[str | None]:
        """One attribute of these items as text; None where there is no text or number."""
        try:
            found = list(map(attrgetter(f"{self.place[attribute]}.S"), items))
        except AttributeError:
            found = [None]
        return [text_of(value) for value in self.values(items, attribute)] if None in found else found

    def keys(self, items: Sequence[Any]) -> list[list[Any]]:
        """The key attributes' raw values, a list each."""
        return [
            [value.S if value.S is not None else value.N if value.N is not None else value.B for value in column]
            for column in (self.values(items, name) for name in self.plan.keys[self.table])
        ]

    def sift(self, items: Sequence[Any], first: int, now: float, spill: Spill, tally: Tally) -> None:
        """Records of a page's items into `spill`; they are numbered from `first`. `now`: epoch seconds, for TTLs."""
        tally.items += len(items)
        numbers = struct.pack(f">{len(items)}I", *range(first, first + len(items)))
        page = Lot(items, self.read_keys(items), [numbers[at : at + 4] for at in range(0, len(numbers), 4)])
        names = [reading.name for reading in page.readings]
        for name in dict.fromkeys(names):
            lot = page.pick([n for n, other in enumerate(names) if other == name]) if set(names) != {name} else page
            kind = lot.readings[0].kind
            if kind is not None:
                tally.known += len(lot.items)
                if kind.ttl:
                    lot = self.living(kind.ttl, lot, now, tally)
            self.sift_fields(kind, lot, spill)
            for number, edge in self.edges:
                self.sift_link(number, edge, lot, spill, tally)
            if kind is not None:
                self.sift_unique(kind, lot, spill)
                self.sift_groups(kind, lot, spill)

    def living(self, ttl: str, lot: Lot, now: float, tally: Tally) -> Lot:
        """The lot without items past their TTL."""
        ends = [value.N if value is not None else None for value in self.values(lot.items, ttl)]
        kept = [number for number, end in enumerate(ends) if end is None or not is_past(float(end), now)]
        tally.expired += len(ends) - len(kept)
        return lot.pick(kept) if len(kept) < len(ends) else lot

    def read_keys(self, items: Sequence[Any]) -> list[KeyReading]:
        """Return what the key of each item says."""
        if not self.matched:
            kind = self.kinds[0] if self.kinds else None
            return [KeyReading(kind.name if kind else "", kind, {}, odd=False)] * len(items)
        texts = list(zip(*(self.column(items, attribute) for attribute in self.matched), strict=True))
        known = {text: self.read_key(text) for text in set(texts)}
        return [known[text] for text in texts]

    def read_key(self, texts: tuple[str | None, ...]) -> KeyReading:
        """Return what these texts of the matched attributes say."""
        item = {a: {"S": text} for a, text in zip(self.matched, texts, strict=True) if text is not None}
        for kind in self.kinds:
            values = match(kind, item, loose=False)
            if values is not None:
                odd = any(f.template and is_odd(f, values.get(f.name)) for f in self.fields[kind.name])
                return KeyReading(kind.name, kind, values, odd)
        return KeyReading("", None, {}, odd=any(match(kind, item, loose=True) is not None for kind in self.kinds))

    def sift_fields(self, kind: Kind | None, lot: Lot, spill: Spill) -> None:
        """Items with an id that is not one, or without one that they must have, are odd."""
        odd = dict.fromkeys(place for reading, place in zip(lot.readings, lot.places, strict=True) if reading.odd)
        for declared in self.fields[kind.name] if kind else ():
            texts = self.column(lot.items, declared.attribute)
            if declared.template is not None or (declared.type == "uuid" and all_uuids(texts)):
                continue
            values = self.values(lot.items, declared.attribute)
            odd |= dict.fromkeys(
                place
                for value, text, place in zip(values, texts, lot.places, strict=True)
                if is_odd_value(declared, value, text)
            )
        for _, _, name in kind.beside if kind else ():
            texts = self.column(lot.items, name)
            pairs = zip(texts, lot.readings, lot.places, strict=True)
            odd |= dict.fromkeys(p for text, reading, p in pairs if is_other_id(reading.values.get(name), text))
        self.spread(spill, ODD, [place.rjust(16, b"\0") for place in odd], list(odd))

    def sift_link(self, number: int, edge: Edge, lot: Lot, spill: Spill, tally: Tally) -> None:
        """One record for each id that a link reads: about the id, with a digest of the copies beside it."""
        ids: list[Any] = self.column(lot.items, edge.attribute)
        if None in ids:
            values = self.values(lot.items, edge.attribute)
            if self.answers_for(edge, lot) and (unread := sum(map(holds_no_id, values))):
                tally.unread[edge.attribute] = tally.unread.get(edge.attribute, 0) + unread
            ids, lot = several([ids_of(value) for value in values], lot)
        if edge.template is not None:
            parsed = {text: edge.template.parse(text) or () for text in set(ids)}
            ids, lot = several([parsed[text] for text in ids], lot)
        tally.ids[edge.name] = tally.ids.get(edge.name, 0) + len(ids)
        if misfits := self.misfits(number, edge, ids):
            tally.unread[edge.attribute] = tally.unread.get(edge.attribute, 0) + misfits
        if not all_uuids(ids):
            odd = {text for text in set(ids) if is_respelt(text)}
            places = list(dict.fromkeys(place for text, place in zip(ids, lot.places, strict=True) if text in odd))
            self.spread(spill, ODD, [place.rjust(16, b"\0") for place in places], places)
        columns = [self.copies(self.texts[number, attribute], attribute, lot.items) for attribute, _ in pairs_of(edge)]
        told = list(zip(ids, *columns, strict=True))
        masks = tally.masks.setdefault(link_channel(number), [])
        made: dict[Any, bytes] = {}
        for one in set(told):
            text, *copies = one
            mask = sum(1 << place for place, copy in enumerate(copies) if copy is not ABSENT)
            if mask not in masks:
                masks.append(mask)
            made[one] = key_of(text) + copies_digest(mask, copies)
        self.spread_made(spill, link_channel(number), made, told, lot.places)

    def misfits(self, number: int, edge: Edge, ids: Sequence[Any]) -> int:
        """Count the texts that have another form than the column's ids, as links.resolve.count_misfits does."""
        target = self.targets[number]
        if self.kinds or (edge.template is None and edge.attribute in self.plan.keys[self.table]):
            return 0
        if target == "uuid":
            return 0 if all_uuids(ids) else sum(uuid_text(text) is None for text in ids)
        return sum(not text.isdigit() for text in ids) if target == NUMBER else 0

    def answers_for(self, edge: Edge, lot: Lot) -> bool:
        """Return True if a value that is no id is nobody else's fault: its field is not looked at by its type."""
        kind = lot.readings[0].kind
        if kind is None:
            return not self.kinds
        name = field_of(kind, edge)
        return all(declared.type not in TYPED for declared in self.fields[kind.name] if declared.name == name)

    def copies(self, write: Callable[[Any], Any], attribute: str, items: Sequence[Any]) -> list[Any]:
        """A copied attribute of these items, as `write` says that its column would write it."""
        if write is plain_text:
            # Nearly always they are all there, and strings.
            found = self.column(items, attribute)
            if None not in found:
                return found
        return list(map(write, self.values(items, attribute)))

    def sift_unique(self, kind: Kind, lot: Lot, spill: Spill) -> None:
        """One record for each value that must occur once."""
        for name in kind.unique:
            keys = keys_of(self.texts_of(kind, name, lot))
            there = [number for number, key in enumerate(keys) if key is not None]
            if len(there) < len(keys):
                keys, lot = [keys[number] for number in there], lot.pick(there)
            self.spread(spill, unique_channel(self.table, name), keys, lot.places)

    def texts_of(self, kind: Kind, name: str | None, lot: Lot) -> list[str | None]:
        """A declared field's texts, from the key or from its attribute; None without a name."""
        if name is None:
            return [None] * len(lot.items)
        if lot.readings and name in lot.readings[0].values:
            return [reading.values[name] for reading in lot.readings]
        return self.column(lot.items, kind.attribute_of(name))

    def sift_groups(self, kind: Kind, lot: Lot, spill: Spill) -> None:
        """A record for each row of a group, and for each group of which entries were seen."""
        for number, group in enumerate(self.plan.groups):
            rows, entries = group_channels(number)
            if kind.name == group.rows:
                names = (group.id, group.owner, group.other)
                told = list(zip(*(self.texts_of(kind, name, lot) for name in names), strict=True))
                made = {one: key_of(one[0]) + row_value(group, *one[1:]) for one in set(told) if one[0] is not None}
                kept = [place for place, one in enumerate(told) if one in made]
                self.spread_made(spill, rows, made, [told[place] for place in kept], lot.pick(kept).places)
            if kind.name == group.entries:
                ids = self.texts_of(kind, group.id, lot)
                first = {one: place for one, place in zip(ids, lot.places, strict=True) if one is not None}
                keys = [key_of(one) for one in first]
                self.spread(spill, entries, keys, list(first.values()))

    def spread(self, spill: Spill, channel: str, keys: Sequence[Any], places: Sequence[bytes]) -> None:
        """Records without a value."""
        parts, count = spill.parts(channel), spill.partitions
        for key, place in zip(keys, places, strict=True):
            parts[crc32(key) % count].append(key + NOTHING + place)
        spill.added(len(keys))

    def spread_made(
        self, spill: Spill, channel: str, made: Mapping[Any, bytes], told: Sequence[Any], places: Sequence[bytes]
    ) -> None:
        """Records whose key and value depend on what `told` says."""
        parts, count = spill.parts(channel), spill.partitions
        found = {one: (parts[crc32(record[:16]) % count].append, record) for one, record in made.items()}
        for one, place in zip(told, places, strict=True):
            append, record = found[one]
            append(record + place)
        spill.added(len(told))


def several(many: Sequence[Sequence[str]], lot: Lot) -> tuple[list[str], Lot]:
    """No, one or several texts for each item of a lot, as one column with the item of each."""
    chosen = [number for number, texts in enumerate(many) for _ in texts]
    return [text for texts in many for text in texts], lot.pick(chosen)


def copies_digest(mask: int, copies: Sequence[Any]) -> bytes:
    """A digest of the copies that `mask` says are there."""
    return digest([mask, *(copy for place, copy in enumerate(copies) if mask >> place & 1)])


def row_value(group: Group, owner: str | None, other: str | None) -> bytes:
    """Return what a group's row adds to the group's sum: the rows are right when these cancel out, and are enough.

    Owner less other, so that mirrored rows sum up to 0; a row that occurs twice does not, as it would with XOR.
    """
    if group.owner and group.other:
        value = int.from_bytes(digest(canonical(owner or "")), "big") - int.from_bytes(
            digest(canonical(other or "")), "big"
        )
        return (value % (1 << 64)).to_bytes(8, "big")
    return digest(canonical(owner)) if owner else NOTHING


def text_of(value: Any) -> str | None:
    """The text of a string or number value; None for all others."""
    if value is None:
        return None
    if value.S is not None:
        return str(value.S)
    return number_text(value.N) if value.N is not None else None


def holds_no_id(value: Any) -> bool:
    """Return True if a value is there and is neither text nor number, nor a set or list of those, nor NULL."""
    if value is None:
        return False
    if value.L is not None:
        return has_odd_part(value.L)
    return value.S is None and value.N is None and value.NULL is None and value.SS is None and value.NS is None


def ids_of(value: Any) -> list[str]:
    """The ids in a value: one, several (sets and lists), or none."""
    if value is None:
        return []
    text = text_of(value)
    if text is not None:
        return [text]
    parts = value.SS or value.NS or [part.get("S") or part.get("N") for part in value.L or ()]
    return [part for part in parts if part is not None]


def plain_text(value: Any) -> Any:
    """A copy's text; ABSENT where there is none, None for NULL, and what no column has for other types."""
    if value is None:
        return ABSENT
    if value.S is not None:
        return value.S
    return None if value.NULL is not None else text_of(value) or "\0other"


def number_copy(value: Any) -> Any:
    text = plain_text(value)
    return number_text(text) if text and text is not ABSENT else text


def time_copy(value: Any) -> Any:
    """A copy of a time, in whatever form and zone."""
    text = plain_text(value)
    moment = instant(text) if text and text is not ABSENT else None
    return canonical(moment) if moment is not None else text


def boolean_copy(value: Any) -> Any:
    """A copy of a truth value; a text that says the same is none."""
    if value is not None and value.BOOL is not None:
        return canonical(value.BOOL)
    text = plain_text(value)
    return "\0other" if text and text is not ABSENT else text


WRITERS: Final[Mapping[str, Callable[[Any], Any]]] = {NUMBER: number_copy, TIME: time_copy, BOOLEAN: boolean_copy}


def is_odd(declared: Field, text: str | None) -> bool:
    """Return True if a text is not what an id of this type looks like."""
    if declared.type == "uuid":
        return text is None or CANONICAL_UUID.fullmatch(text) is None
    if declared.type == "number" and declared.template is not None:
        return text is None or not number_text(text).lstrip("-").replace(".", "", 1).isdigit()
    return False


def is_respelt(text: str | None) -> bool:
    """Return True if a text is a uuid that is not written as DynamoDB and Postgres give it.

    It is in capitals, or without dashes.
    """
    return text is not None and CANONICAL_UUID.fullmatch(text) is None and uuid_text(text) is not None


def is_odd_value(declared: Field, value: Any, text: str | None) -> bool:
    """Return True if a value is not what an id of this type is stored as."""
    if value is None or value.NULL is not None:
        return not declared.optional
    if declared.type not in TYPED:
        return False
    return getattr(value, "N" if declared.type == "number" else "S") is None or is_odd(declared, text)


def all_uuids(texts: Sequence[str | None]) -> bool:
    """Return True if every text is a uuid, written as one is."""
    if None in texts or not set(map(len, texts)) <= {36}:  # type: ignore[arg-type]
        return False
    return UUIDS.fullmatch("".join(texts)) is not None  # type: ignore[arg-type]


def keys_of(texts: Sequence[str | None]) -> list[bytes | None]:
    """`key_of` for a column; None where there is no text. Uuids are converted all at once."""
    if all_uuids(texts):
        joined = bytes.fromhex("".join(texts).replace("-", ""))  # type: ignore[arg-type]
        return [joined[at : at + 16] for at in range(0, len(joined), 16)]
    return [None if text is None else key_of(text) for text in texts]


def is_other_id(placed: str | None, text: str | None) -> bool:
    """Return True if a placeholder's id in a key is another than the one in the attribute of its name."""
    if placed == text or placed is None or text is None:
        return False
    one, other = uuid_text(placed), uuid_text(text)
    return one is not None and other is not None and one != other
