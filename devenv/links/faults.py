"""Faults between items and rows, as values; faults with one cause are merged into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from devenv.core.value import Value
from devenv.links.read import Edge, ItemRecord
from devenv.links.values import inner_id

Layer = Literal["postgres", "dynamodb", "cross-store"]

# The classes of faults (in a trace's JSON: verdict.class), by the layer they belong to, worst first within a layer.
LAYERS: Final[Mapping[str, Layer]] = {
    "missing_row": "postgres",
    "ambiguous_row": "postgres",
    "near_miss": "postgres",
    "malformed_key": "dynamodb",
    "malformed_id": "dynamodb",
    "contradiction": "dynamodb",
    "placeholder": "dynamodb",
    "missing_attribute": "dynamodb",
    "wrong_type": "dynamodb",
    "mixed_time_format": "dynamodb",
    "future_time": "dynamodb",
    "duplicate": "dynamodb",
    "half_group": "dynamodb",
    "foreign_member": "dynamodb",
    "stale_preview": "dynamodb",
    "missing_item": "dynamodb",
    "mismatched_id": "cross-store",
    "orphan": "cross-store",
    "stale_copy": "cross-store",
}
# `verify` counts two of them under its own names.
VERIFY_NAMES: Final[Mapping[str, str]] = {
    "malformed_key": "malformed_id",
    "contradiction": "malformed_id",
    "half_group": "missing_member",
}
# Classes whose words are about an id, and not about the attribute that has it.
OF_IDS: Final = frozenset(["orphan", "mismatched_id"])
EXAMPLES: Final = 3
SUBJECTS: Final = 100
PLACES: Final = 3


class Recreated(Value, frozen=True):
    """A row with another id than an orphan names; the item's `attribute` has the value of its unique `column`."""

    attribute: str
    column: str
    value: str
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """One thing wrong. `subjects` are ids, the most telling first; `note` says it in words.

    `record` is the item (None: something is missing as a whole), `attribute` the place in it, `expected` the text
    that belongs there where that is known, `edge` and `row` the link and the row it names, `partners` further items.
    `safe`: putting `expected` in loses nothing. `recreated`: the row that an orphan most likely means;
    `elsewhere`: the other linked table that has a row with an orphan's id.
    """

    kind: str
    subjects: tuple[str, ...]
    note: str
    record: ItemRecord | None = None
    attribute: str | None = None
    field: str | None = None
    observed: str | None = None
    expected: str | None = None
    edge: Edge | None = None
    row: Mapping[str, Any] | None = None
    group: str | None = None
    partners: tuple[ItemRecord, ...] = ()
    safe: bool = False
    recreated: Recreated | None = None
    elsewhere: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The subjects; a uuid of a wrong reference without what stands around it in this attribute."""
        if self.kind not in OF_IDS:
            return self.subjects
        return tuple(inner_id(subject) or subject for subject in self.subjects)

    @property
    def layer(self) -> Layer:
        """The layer that the fault lies in."""
        return LAYERS[self.kind]


class Folded(Value, frozen=True):
    """All faults of one class: how many, in how many items, whose, with a few examples and the common cause."""

    kind: str
    layer: Layer
    count: int
    items: int
    subjects: tuple[str, ...]
    examples: tuple[str, ...]
    cause: str | None
    faults: tuple[Fault, ...]

    @property
    def summary(self) -> str:
        """The examples in one line, with the number of those not shown."""
        more = self.count - len(self.examples)
        return "; ".join(self.examples) + (f"; and {more} more" if more > 0 else "")


def fold(faults: Iterable[Fault], causes: Mapping[str, str]) -> tuple[Folded, ...]:
    """Faults by class, in the order of LAYERS. `causes` maps a class to what its faults have in common."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    return tuple(fold_kind(kind, by_kind[kind], causes.get(kind)) for kind in LAYERS if kind in by_kind)


def id_attributes(faults: Iterable[Fault]) -> str:
    """`borrower`, `gsi1pk`: the attributes that hold a wrong id; "" for faults whose words name theirs."""
    names = dict.fromkeys(f.attribute for f in faults if f.attribute and f.kind in OF_IDS)
    return ", ".join(f"`{name}`" for name in names)


def fold_kind(kind: str, faults: list[Fault], cause: str | None) -> Folded:
    """The faults of one class as one: each different note once, each id once."""
    subjects = dict.fromkeys(id for fault in faults for id in fault.ids)
    same = same_faults(faults)
    items = {id(record) for fault in faults for record in (fault.record, *fault.partners) if record is not None}
    return Folded(
        kind=kind,
        layer=LAYERS[kind],
        count=len(same),
        items=len(items),
        subjects=tuple(subjects)[:SUBJECTS],
        examples=tuple(
            f"{note} (in {attributes})" if (attributes := id_attributes(each)) else note
            for note, each in same[:EXAMPLES]
        ),
        cause=cause,
        faults=tuple(faults),
    )


def same_faults(faults: Iterable[Fault]) -> list[tuple[str, list[Fault]]]:
    """The faults that count as one, with their note: those of one id and one target, else those of one note.

    Of an id that is described in several ways, the note is the longest: it has the name, too.
    """
    found: dict[tuple[str, ...], list[Fault]] = {}
    for fault in faults:
        target = fault.edge.target if fault.edge else ""
        of_id = fault.kind in OF_IDS and fault.subjects
        found.setdefault((target, *fault.ids) if of_id else (fault.note,), []).append(fault)
    return [(max((fault.note for fault in same), key=len), same) for same in found.values()]


def places_text(faults: Iterable[Fault]) -> str:
    """The items, and their attributes, that faults are in, where their own words do not name them."""
    places: dict[str, dict[str, None]] = {}
    for fault in faults:
        if fault.record is not None and fault.record.key and fault.record.key_text not in fault.note:
            places.setdefault(fault.record.key_text, {}).update({fault.attribute: None} if fault.attribute else {})
    told = [f"{key} ({', '.join(names)})" if names else key for key, names in places.items()]
    more = f" and {len(told) - PLACES} more" if len(told) > PLACES else ""
    return f", in item {', '.join(told[:PLACES])}{more}" if told else ""
