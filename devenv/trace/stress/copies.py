"""Copies of one item: which of its values must be others, and the item with others in every place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from devenv.links.values import scalar_text
from devenv.trace.stress.values import NUMBER, form_of

if TYPE_CHECKING:
    from devenv.links.packed import Item as Stored
    from devenv.links.read import ItemRecord, Kind
    from devenv.stores.dynamodb.client import Item

# A shorter text may stand in another attribute by chance.
LONG: Final = 4
RANKS: Final = ("time", "number", "text", "uuid")


@dataclass(frozen=True)
class Slot:
    """One value of an item: a declared field, or a whole attribute that no field is read from."""

    name: str
    attribute: str
    text: str


@dataclass(frozen=True)
class CopyRules:
    """The parts of a kind that a copy must keep and change, as devenv.toml says it.

    `fixed` are the fields that the request names, `ids` those that the id consists of, `named` what other layers call
    the id, `sorted_by` the field that the order is of.
    """

    keys: tuple[str, ...]
    fixed: frozenset[str]
    ids: tuple[str, ...]
    named: frozenset[str] = frozenset()
    sorted_by: str | None = None


def slots_of(kind: Kind, record: ItemRecord, wanted: CopyRules) -> dict[str, Slot]:
    """The values of a record: its fields, then keys and ids that are attributes of their own."""
    item = record.item
    found = {
        one.name: Slot(one.name, one.attribute, record.values[one.name])
        for one in kind.fields
        if record.values.get(one.name)
    }
    covered = {one.attribute for one in kind.fields} | {attribute for attribute, _ in kind.matchers}
    for name in (*wanted.ids, *wanted.keys):
        text = scalar_text(item.get(name))
        if name not in found and name not in covered and text:
            found[name] = Slot(name, name, text)
    return found


def to_change(kind: Kind, record: ItemRecord, wanted: CopyRules, linked: Set[str]) -> list[Slot] | str:
    """The values of a record that must be others in a copy, or why there can be none. `linked` are ids of rows."""
    slots = slots_of(kind, record, wanted)
    kept = {slots[name].text for name in wanted.fixed if name in slots}

    def is_free(slot: Slot) -> bool:
        same = slot.text in kept and len(slot.text) >= LONG
        return slot.name not in wanted.fixed and not same and slot.text not in linked

    chosen: dict[str, Slot] = {}
    ids = [slots[name] for name in wanted.ids if name in slots]
    if free := [slot for slot in ids if is_free(slot)]:
        chosen[free[-1].name] = free[-1]
    elif wanted.ids:
        return explain_ids(wanted, ids, linked)
    for name in kind.unique:
        if name in slots and is_free(slots[name]):
            chosen[name] = slots[name]
    in_keys = [slot for key in reversed(wanted.keys) for slot in slots.values() if slot.attribute == key]
    for slot in slots.values():
        # Copies that sort with their original would come first or last where that does.
        forms = ("time", "number") if slot.name == wanted.sorted_by else ("time",)
        ordered = slot.name == wanted.sorted_by or slot.attribute in wanted.keys[1:]
        if ordered and form_of([slot.text]) in forms and is_free(slot):
            chosen[slot.name] = slot
    swap = Swap({slot.text: "" for slot in chosen.values()}, chosen.keys() | wanted.named, wanted.fixed)
    if swap.touches(kind, record.item, wanted.keys):
        return list(chosen.values())
    free = sorted(filter(is_free, in_keys), key=lambda slot: RANKS.index(form_of([slot.text])))
    if not free:
        keys = " and ".join(f"`{key}`" for key in wanted.keys)
        return f"{keys} hold only what the request names, or ids of rows, so a copy would have the same key"
    return [*chosen.values(), free[0]]


def explain_ids(wanted: CopyRules, ids: Sequence[Slot], linked: Set[str]) -> str:
    """Why the id of an item cannot be another one."""
    names = ", ".join(f"`{name}`" for name in wanted.ids)
    if not ids:
        return f"it has no {names}, which is its id"
    if any(slot.text in linked for slot in ids):
        return f"its id {names} is the id of a row in Postgres, and a copy would need a row of its own"
    return f"the request names its id {names}, so only one item can match"


class Swap:
    """Puts other values in the place of those of an item, wherever they stand in it: in keys, indexes, copies.

    A short text is replaced only in attributes that are `named`. What is `fixed` stays.
    """

    def __init__(self, others: Mapping[str, str], named: Set[str], fixed: Set[str]) -> None:
        self.others, self.named, self.fixed = others, named, fixed
        words = [re.escape(old) for old in sorted(others, key=len, reverse=True) if len(old) >= LONG]
        self.inside = re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(words)})(?![0-9A-Za-z])") if words else None

    def item(self, kind: Kind, item: Stored, record: ItemRecord) -> Item:
        """The item with the other values."""
        templates = dict(kind.matchers)
        made: Item = {}
        for name, value in item.items():
            template = templates.get(name)
            if template is not None and template.names:
                texts = (self.part(each, record.values[each]) for each in template.names)
                made[name] = {next(iter(value)): template.fill(texts)}
            else:
                made[name] = dict(value) if name in self.fixed else self.value(name, value)
        return made

    def part(self, name: str, text: str) -> str:
        """One place of a template."""
        if name in self.fixed:
            return text
        return self.text(name, text)

    def text(self, name: str, text: str) -> str:
        """A text with the other values in it."""
        if text in self.others and (name in self.named or len(text) >= LONG):
            return self.others[text]
        return self.inside.sub(lambda found: self.others[found[0]], text) if self.inside is not None else text

    def value(self, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """An attribute of any type, with maps and lists."""
        ((letter, held),) = value.items()
        match letter:
            case "S":
                return {"S": self.text(name, held)}
            case "N":
                text = self.text(name, scalar_text(value) or "")
                return {"N": text if NUMBER.fullmatch(text) else held}
            case "M":
                return {"M": {inner: self.value(inner, each) for inner, each in held.items()}}
            case "L":
                return {"L": [self.value(name, each) for each in held]}
            case "SS":
                return {"SS": [self.text(name, each) for each in held]}
        return dict(value)

    def touches(self, kind: Kind, item: Stored, keys: Sequence[str]) -> bool:
        """Return True if a key is another one with the other values."""
        return any(self.changed(kind, item, keys))

    def changed(self, kind: Kind, item: Stored, keys: Sequence[str]) -> Iterator[bool]:
        """For each key, if it has one of the values."""
        templates = dict(kind.matchers)
        for key in keys:
            text = scalar_text(item.get(key)) or ""
            template = templates.get(key)
            if template is not None and template.names:
                parts = zip(template.names, template.parse(text) or (), strict=False)
                yield any(self.part(name, part) != part for name, part in parts)
            else:
                yield key not in self.fixed and self.text(key, text) != text
