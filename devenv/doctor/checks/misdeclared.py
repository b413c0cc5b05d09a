"""A declaration of [entities] that every item of its kind contradicts: the line is wrong, and not the items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devenv.config.parse import line_of
from devenv.config.schema import DECLARED_TYPES, FILE
from devenv.core.toml import toml_key
from devenv.core.value import Value
from devenv.doctor.context import DoctorFacts
from devenv.links.faults import Fault
from devenv.links.values import time_form

# One item alone does not tell which of the two is wrong.
FEWEST: Final = 2


class Misdeclared(Value, frozen=True):
    """One line of devenv.toml: the entity, its attribute, how many items contradict it, and the type they have.

    `renamed` is the one attribute that all these items have and that no line declares.
    """

    entity: str
    attribute: str
    count: int
    wanted: str
    faults: tuple[Fault, ...]
    renamed: str | None = None

    def sentence(self, facts: DoctorFacts) -> str:
        """Say what all items have, and what to write into which line."""
        line = line_of(facts.context.root / FILE, ("entities", self.entity, "attributes", self.attribute))
        place = f"{FILE}:{line}" if line else FILE
        if self.faults[0].kind == "missing_attribute":
            head = f"none of the {self.count} {self.entity} items has `{self.attribute}`"
            if self.renamed:
                return (
                    f"{head}, and all have `{self.renamed}`, which is not declared. If this is the new name, write it"
                    f" in {place} and in all code that reads it; else correct what writes the items"
                )
            return (
                f"{head}. If the code does not read it, the declaration is wrong: in {place} remove the line, or write"
                f' {toml_key(self.attribute)} = "{self.wanted}"; else correct what writes the items'
            )
        return (
            f"all {self.count} {self.entity} items contradict the type of `{self.attribute}`, so the declaration is"
            f' wrong: in {place} write {toml_key(self.attribute)} = "{self.wanted}"'
        )


def find_misdeclared(facts: DoctorFacts, faults: Sequence[Fault]) -> list[Misdeclared]:
    """Of faults, those declarations that every item of the entity contradicts, all in the same way."""
    total: dict[str, int] = {}
    for record in facts.judgement().records:
        if record.kind is not None:
            total[record.kind.name] = total.get(record.kind.name, 0) + 1
    same: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        kind = fault.record.kind if fault.record else None
        if kind is None or fault.field is None or not (wanted := type_of(fault)):
            continue
        same.setdefault((kind.name, fault.field, wanted), []).append(fault)
    return [
        Misdeclared(entity, name, len(group), wanted, tuple(group), other_name(group))
        for (entity, name, wanted), group in same.items()
        if len({id(fault.record) for fault in group}) == total[entity] >= FEWEST
    ]


def other_name(faults: Sequence[Fault]) -> str | None:
    """The only attribute that all items of these faults have and that their entity does not declare."""
    records = [fault.record for fault in faults if fault.record is not None]
    shared = set.intersection(*(set(record.item) for record in records)) if records else set()
    if records and (kind := records[0].kind) is not None:
        shared -= {
            *records[0].keys,
            *(field.attribute for field in kind.fields),
            *(field.name for field in kind.fields),
        }
    return shared.pop() if len(shared) == 1 else None


def type_of(fault: Fault) -> str:
    """The type that the item of a fault shows its attribute to have; "" where it shows none."""
    record = fault.record
    if record is None or record.kind is None or fault.attribute is None or fault.safe:
        return ""
    field = next((each for each in record.kind.fields if each.name == fault.field), None)
    if field is None:
        return ""
    optional = "?" if field.optional else ""
    match fault.kind:
        case "missing_attribute":
            return f"{field.type}?"
        case "wrong_type":
            return DECLARED_TYPES.get(next(iter(record.item.get(fault.attribute, {})), ""), "") + optional
        case "malformed_id" | "malformed_key":
            return f"string{optional}"
        case "mixed_time_format" if time_form(record.values.get(field.name, "")) is None:
            return f"string{optional}"
    return ""
