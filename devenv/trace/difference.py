"""Two lists of entries held against each other: what is missing, new or changed, and is the order right. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final

from devenv.capture.calls import Direction
from devenv.core.value import Value
from devenv.links.values import number_text
from devenv.trace.observation import Entry

ID: Final = "id"


class Change(Value, frozen=True):
    """One field of one entry that is not what it was in the layer before.

    `absent`: the answer does not have the field (a null is not absent); `instead` is the undeclared field that has its
    value instead, if exactly one does.
    """

    id: str
    field: str
    expected: str | None
    observed: str | None
    absent: bool = False
    instead: str | None = None


class Difference(Value, frozen=True):
    """`pairs` are the entries that were found again, in the order observed: (expected, observed)."""

    missing: tuple[Entry, ...]
    extra: tuple[Entry, ...]
    changed: tuple[Change, ...]
    pairs: tuple[tuple[Entry, Entry], ...]

    @property
    def missing_ids(self) -> tuple[str, ...]:
        return ids(self.missing)

    @property
    def extra_ids(self) -> tuple[str, ...]:
        """The ids of what was not there before; an entry without one is shown as `?`."""
        return ids(self.extra)


def ids(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The ids of entries, each once, in order."""
    return tuple(dict.fromkeys(entry.id or "?" for entry in entries))


def compare(expected: Sequence[Entry], observed: Sequence[Entry], types: Mapping[str, str]) -> Difference:
    """Pair entries by id, those left over by what else they say, and compare the fields of each pair.

    An entry that lost its id, or got another one, is so found as changed instead of as one missing and one new.
    """
    partner = pair_by_id(expected, observed, types)
    taken = set(partner.values())
    left = [position for position in range(len(expected)) if position not in taken]
    for number, entry in enumerate(observed) if left else ():
        if number not in partner and left:
            best = max(left, key=lambda position: alike(expected[position], entry, types))
            if alike(expected[best], entry, types) > 0.5:
                partner[number] = best
                left.remove(best)
    pairs = tuple((expected[partner[number]], entry) for number, entry in enumerate(observed) if number in partner)
    return Difference(
        missing=tuple(expected[position] for position in left),
        extra=tuple(entry for number, entry in enumerate(observed) if number not in partner),
        changed=tuple(
            change
            for before, after in pairs
            if before.fields != after.fields or before.id != after.id
            for change in changes(before, after, types)
        ),
        pairs=pairs,
    )


def pair_by_id(expected: Sequence[Entry], observed: Sequence[Entry], types: Mapping[str, str]) -> dict[int, int]:
    """Place in `observed` -> place in `expected` of the entry with the same id; of several, the one most alike."""
    places = {entry.id: position for position, entry in enumerate(expected)}
    if len(places) == len(expected) and None not in places:
        # Nearly always each id is there once.
        found = ((number, places.pop(entry.id, None)) for number, entry in enumerate(observed))
        return {number: position for number, position in found if position is not None}
    waiting: defaultdict[str | None, list[int]] = defaultdict(list)
    for position, entry in enumerate(expected):
        waiting[entry.id].append(position)
    partner: dict[int, int] = {}
    for number, entry in enumerate(observed):
        if entry.id is not None and (same_id := waiting[entry.id]):
            best = same_id[0] if len(same_id) == 1 else max(same_id, key=lambda at: alike(expected[at], entry, types))
            same_id.remove(best)
            partner[number] = best
    return partner


def alike(one: Entry, other: Entry, types: Mapping[str, str]) -> float:
    """The share of fields that agree and say something, 0 to 1; entries of two kinds have nothing in common."""
    if one.kind != other.kind:
        return 0.0
    told = [name for name, text in one.fields.items() if text is not None]
    if not told:
        return 0.0
    return sum(same(one.fields[name], other.fields.get(name), types.get(name)) for name in told) / len(told)


def changes(before: Entry, after: Entry, types: Mapping[str, str]) -> Iterable[Change]:
    """The fields of a pair that differ; the id counts as one."""
    name = before.id or after.id or "?"
    if before.id != after.id:
        yield Change(name, ID, before.id, after.id)
    for field, text in before.fields.items():
        if field in after.fields and not same(text, after.fields[field], types.get(field)):
            absent = field in after.absent
            empty = text is not None and after.fields[field] is None
            alike_ = [other for other, value in after.others.items() if empty and same(text, value, types.get(field))]
            instead = alike_[0] if len(alike_) == 1 else None
            yield Change(name, field, text, after.fields[field], absent, instead)


def same(expected: str | None, observed: str | None, type_name: str | None) -> bool:
    """Return True if two texts mean the same.

    Times by their moment (with a zone), numbers by their value, others exactly.
    """
    if expected == observed:
        return True
    if expected is None or observed is None:
        return False
    if type_name == "number":
        return number_text(expected) == number_text(observed)
    if type_name == "time":
        one, other = moment(expected), moment(observed)
        return one is not None and one == other
    return False


def moment(text: str) -> datetime | None:
    """The moment that a text with a zone names, else None."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def in_order(entries: Sequence[Entry], field: str, direction: Direction) -> bool:
    """Return True if entries are sorted by a field, as text (as a store sorts), as times, or as numbers.

    Entries without the field are passed over. Equal ones may stand in any order.
    """
    texts = [text for entry in entries if (text := entry.fields.get(field)) is not None]
    if direction == "descending":
        texts.reverse()
    if all(one <= other for one, other in pairwise(texts)):
        return True
    moments = [moment(text) for text in texts]
    if all(moments):
        return all(one <= other for one, other in pairwise(m for m in moments if m is not None))
    numbers = [as_number(text) for text in texts]
    return None not in numbers and all(one <= other for one, other in pairwise(n for n in numbers if n is not None))


def as_number(text: str) -> Decimal | None:
    """The number that a text is, else None."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
